// Progressive filling of a component; max_min_component.cpp finds what belongs to one.

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/random.hpp"
#include "network/max_min.hpp"

namespace orrery {
std::int64_t MaxMin::share(std::uint32_t index, const Filling& fill) const {
    const int128 left = static_cast<int128>(links_[index].capacity) * kCoefficientUnit - fill.load;
    // Whole coefficients, nearly always: the same quotient from 64-bit numbers.
    if (fill.demand % kCoefficientUnit == 0) {
        return static_cast<std::int64_t>(left / kCoefficientUnit) /
               static_cast<std::int64_t>(fill.demand / kCoefficientUnit);
    }
    const int128 level = left / fill.demand;
    return level < kUnbounded ? static_cast<std::int64_t>(level) : kUnbounded - 1;
}

void MaxMin::solve() {
    moved_.clear();
    touched_.clear();
    clear_left();
    for (const std::uint32_t variable : fresh_) put(variable, cap_[variable]);
    fresh_.clear();
    if (dirty_.empty()) return;
    if (round_ > 0xfffffff0u - 2 * dirty_.size()) {
        round_ = 0;
        for (Place& place : place_) place.round = 0;
        for (Link& link : links_) link.round = link.open = 0;
    }
    const std::uint32_t before = round_;
    bool has_floor = false;
    if (!reopen()) {
        for (const std::uint32_t seed : dirty_) {
            if (links_[seed].round > before || solve_alone(seed)) continue;
            if (!has_floor) floor_ = lowest_floor();
            has_floor = true;
            reach(seed);
        }
    }
    for (const std::uint32_t index : dirty_) {
        Link& link = links_[index];
        link.dirty = link.arrival = false;
        link.floor = kUnbounded;
    }
    dirty_.clear();
}

void MaxMin::solve_component() {
    const bool ask = memo_.is_worth_asking(unfixed_);
    const MemoKey key = ask ? component_key() : MemoKey{};
    if (ask) {
        if (const auto* levels = memo_.find(key)) {
            ++remembered_;
            return recall(*levels);
        }
    }
    ++solves_;
    fill();
    if (ask && memo_.was_met(key)) memo_.store(key, component_levels());
}

void MaxMin::fill() {
    heap_.clear();
    for (const std::uint32_t index : part_links_) {
        level_[index] = kUnbounded;
        if (fill_[index].demand > 0) heap_.push_back({share(index), index});
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    std::sort(capped_.begin(), capped_.end(), std::greater<>());
    while (true) {
        const std::int64_t level = lowest_link();
        if (!capped_.empty() && capped_.back().level <= level) {
            const Key cap = capped_.back();
            capped_.pop_back();
            if (!is_fixed(cap.number)) fix_at_cap(cap.number, cap.level);
            continue;
        }
        if (heap_.empty()) return;
        if (level < 1)
            throw SimulationError("a link has more flows than its rate can be shared by");
        batch_.clear();
        // Keys can only have risen: one above the level is of no link at it.
        while (!heap_.empty() && heap_.front().level == level && lowest_link() == level) {
            batch_.push_back(heap_.front().number);
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
            heap_.pop_back();
        }
        std::sort(batch_.begin(), batch_.end());
        for (const std::uint32_t index : batch_) fix_at_link(index, level);
    }
}

// Level of the link that is full next. Keys in the heap are of an earlier state and can only have
// risen: the top is looked at again until it holds.
std::int64_t MaxMin::lowest_link() {
    while (!heap_.empty()) {
        Key& top = heap_.front();
        if (fill_[top.number].demand == 0) {
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
            heap_.pop_back();
            continue;
        }
        const std::int64_t now = share(top.number);
        if (now == top.level) return now;
        top.level = now;
        lower_top();
    }
    return kUnbounded;
}

// The heap's top has a larger key.
void MaxMin::lower_top() {
    const Key key = heap_.front();
    std::size_t at = 0;
    for (std::size_t below = 1; below < heap_.size(); below = 2 * at + 1) {
        if (below + 1 < heap_.size() && heap_[below] > heap_[below + 1]) ++below;
        if (!(key > heap_[below])) break;
        heap_[at] = heap_[below];
        at = below;
    }
    heap_[at] = key;
}

// The link is full: what it holds and nothing held before has this level. First its own of before,
// none of which anything has taken; then, where demand is left, others' that are late.
void MaxMin::fix_at_link(std::uint32_t index, std::int64_t level) {
    Link& link = links_[index];
    level_[index] = level;
    const std::uint32_t own = link.open == round_ ? link.own : 0;
    link.open = 0;
    std::uint64_t left = fill_[index].demand;
    for (std::uint32_t i = 0; i < own; ++i) {
        const Entry& entry = link.entries[i];
        left -= entry.demand;
        if (entry.other != kNoIndex) {
            fill_[entry.other].load += static_cast<int128>(level) * entry.demand;
            fill_[entry.other].demand -= entry.demand;
        } else {
            load_route(entry.variable, index, level);
        }
    }
    if (left > 0) take_rest(index, level, left);
}

// Of the entries that are not the link's own, those not fixed yet become so: a demand of `left`.
void MaxMin::take_rest(std::uint32_t index, std::int64_t level, std::uint64_t left) {
    const Link& link = links_[index];
    for (std::uint32_t i = link.own; left > 0 && i < link.entries.size(); ++i) {
        const Entry entry = link.entries[i];
        if (is_fixed(entry.variable)) continue;
        left -= entry.demand;
        load_route(entry.variable, index, level);
        put(entry.variable, index);
    }
}

void MaxMin::fix_at_cap(std::uint32_t variable, std::int64_t level) {
    load_route(variable, cap_[variable], level);
    put(variable, cap_[variable]);
}

// The variable is fixed at that bottleneck: what it puts on the other links of its route.
void MaxMin::load_route(std::uint32_t variable, std::uint32_t bottleneck, std::int64_t level) {
    for (const LinkUse& use : route(variable)) {
        if (use.link == bottleneck) continue;
        const std::uint64_t demand = weight_[variable] * use.coefficient;
        fill_[use.link].load += static_cast<int128>(level) * demand;
        fill_[use.link].demand -= demand;
    }
}

void MaxMin::put(std::uint32_t variable, std::uint32_t bottleneck) {
    Place& place = place_[variable];
    place.round = round_;
    if (place.bottleneck == bottleneck) return;
    moved_.push_back({variable, place.bottleneck});
    if (place.bottleneck != kNoIndex) make_own(variable, place.bottleneck, false);
    place.bottleneck = bottleneck;
    make_own(variable, bottleneck, true);
}

// Each variable of the component once.
template <class Visit>
void MaxMin::for_each_unfixed(Visit visit) {
    for (const std::uint32_t index : part_links_) {
        for (const Entry& entry : links_[index].entries) {
            if (uses_[hops_[entry.variable].first].link != index) continue;
            if (!is_below_floor(place_[entry.variable])) visit(entry.variable);
        }
    }
}

MemoKey MaxMin::component_key() {
    MemoKey key;
    for_each_unfixed(
        [&](std::uint32_t variable) { key.add(identity_[variable], weight_[variable]); });
    for (const std::uint32_t index : part_links_) {
        const int128 left =
            static_cast<int128>(links_[index].capacity) * kCoefficientUnit - fill_[index].load;
        key.add(mix64(index) ^ static_cast<std::uint64_t>(left >> 64),
                static_cast<std::uint64_t>(left));
    }
    return key;
}

SolutionMemo::Levels MaxMin::component_levels() const {
    SolutionMemo::Levels levels;
    for (const std::uint32_t index : part_links_) levels.emplace_back(index, level_[index]);
    return levels;
}

// Sets the levels that such a component had before; each variable's bottleneck is the lowest level
// on its route, its cap before its links, a lower index before a higher one.
void MaxMin::recall(const SolutionMemo::Levels& levels) {
    part_variables_.clear();
    for_each_unfixed([&](std::uint32_t variable) { part_variables_.push_back(variable); });
    for (const auto& [index, level] : levels) level_[index] = level;
    for (const std::uint32_t variable : part_variables_) {
        std::uint32_t bottleneck = cap_[variable];
        std::int64_t lowest = bottleneck == kNoIndex ? kUnbounded : level_[bottleneck];
        for (const LinkUse& use : route(variable)) {
            const std::int64_t level = level_[use.link];
            const bool tie = level == lowest && bottleneck != cap_[variable];
            if (level < lowest || (tie && use.link < bottleneck)) {
                lowest = level;
                bottleneck = use.link;
            }
        }
        load_route(variable, bottleneck, lowest);
        put(variable, bottleneck);
    }
}

}  // namespace orrery
