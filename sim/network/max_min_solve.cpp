// Progressive filling of the touched component.

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/random.hpp"
#include "network/max_min.hpp"

namespace orrery {
namespace {

constexpr std::size_t kLargePart = 16;        // links worth remembering
constexpr std::size_t kMuchMore = 4;          // times the links that were touched
constexpr std::uint32_t kFewEndings = 2;      // in a row, then more are expected
constexpr std::uint32_t kMostReopened = 256;  // then what it has fallen into is looked for

}  // namespace

std::int64_t MaxMin::share(std::uint32_t index) const {
    const Filling& fill = fill_[index];
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
    for (const std::uint32_t variable : fresh_) put(variable, cap_[variable]);
    fresh_.clear();
    if (dirty_.empty()) return;
    if (round_ > 0xfffffff0u - 2 * dirty_.size()) {
        round_ = 0;
        for (Place& place : place_) place.round = 0;
        for (Link& link : links_) link.round = link.open = 0;
    }
    floor_ = lowest_floor();
    const std::uint32_t before = round_;
    if (!reopen()) {
        for (const std::uint32_t seed : dirty_) {
            if (links_[seed].round <= before && !solve_alone(seed)) reach(seed);
        }
    }
    for (const std::uint32_t index : dirty_) {
        Link& link = links_[index];
        link.dirty = link.arrival = false;
        link.floor = kUnbounded;
    }
    dirty_.clear();
}

// Below this level nothing can have changed.
std::int64_t MaxMin::lowest_floor() {
    std::int64_t floor = kUnbounded;
    for (const std::uint32_t index : dirty_) {
        Link& link = links_[index];
        floor = std::min(floor, link.floor);
        if (!link.arrival || link.total == 0) continue;
        fill_[index] = {0, link.total};
        floor = std::min(floor, share(index));
    }
    return floor;
}

// The two simplest components: a link that nothing uses, and a pair of links that one variable has
// to itself.
bool MaxMin::solve_alone(std::uint32_t index) {
    Link& link = links_[index];
    if (link.entries.size() > 1) return false;
    if (link.entries.empty()) {
        link.round = ++round_;
        fill_[index] = {};
        level_[index] = kUnbounded;
        touched_.push_back(index);
        return true;
    }
    const auto [variable, other, demand] = link.entries.front();
    if (other == kNoIndex || links_[other].entries.size() > 1) return false;
    if (cap_[variable] != kNoIndex) return false;
    const bool here = link.capacity != links_[other].capacity
                          ? link.capacity < links_[other].capacity
                          : index < other;
    const std::uint32_t narrow = here ? index : other, wide = here ? other : index;
    fill_[narrow] = {0, demand};
    const std::int64_t level = share(narrow);
    if (level < 1) return false;
    fill_[wide] = {static_cast<int128>(level) * demand, 0};
    ++solves_;
    link.round = links_[other].round = ++round_;
    level_[index] = here ? level : kUnbounded;
    level_[other] = here ? kUnbounded : level;
    touched_.insert(touched_.end(), {index, other});
    put(variable, here ? index : other);
    return true;
}

// While solving, of a variable on a link that was reached.
bool MaxMin::is_fixed(std::uint32_t variable) const {
    const Place place = place_[variable];
    if (place.bottleneck == kNoIndex) return false;
    const Link& link = links_[place.bottleneck];
    if (link.is_cap) return place.round == round_ || level_[place.bottleneck] < floor_;
    return link.open != round_;
}

// Where flows only ended, and all in the component that was remembered: solves it from the floor up
// without looking for what belongs to it. False, and nothing done, elsewhere.
bool MaxMin::reopen() {
    bool only_ends = true, inside = true;
    for (const std::uint32_t index : dirty_) {
        const Link& link = links_[index];
        only_ends = only_ends && !link.arrival;
        inside = inside && link.part == last_part_number_;
        if (link.arrival && link.part == last_part_number_) last_part_.clear();
    }
    endings_ = only_ends ? endings_ + 1 : 0;
    if (reopened_ == kMostReopened) last_part_.clear();
    if (!only_ends || !inside || last_part_.empty()) return false;
    ++reopened_;
    ++round_;
    part_links_.clear();
    capped_.clear();
    for (const std::uint32_t index : last_part_) {
        if (level_[index] < floor_) continue;
        links_[index].round = round_;
        part_links_.push_back(index);
        if (links_[index].own > 0) open(index);
    }
    touched_.insert(touched_.end(), part_links_.begin(), part_links_.end());
    ++solves_;
    fill();
    return true;
}

// What the link's own put on others is taken back; they count as not fixed there.
void MaxMin::open(std::uint32_t index) {
    Link& link = links_[index];
    link.open = round_;
    const std::int64_t level = level_[index];
    for (std::uint32_t i = 0; i < link.own; ++i) {
        const Entry& entry = link.entries[i];
        if (entry.other != kNoIndex) {
            fill_[entry.other].load -= static_cast<int128>(level) * entry.demand;
            fill_[entry.other].demand += entry.demand;
            continue;
        }
        for (const LinkUse& use : route(entry.variable)) {
            if (use.link == index) continue;
            const std::uint64_t demand = weight_[entry.variable] * use.coefficient;
            fill_[use.link].load -= static_cast<int128>(level) * demand;
            fill_[use.link].demand += demand;
        }
    }
}

// Everything that hangs together with the component at hand, below the floor, too; not where that
// is much more, or has caps.
void MaxMin::remember_part() {
    if (endings_ < kFewEndings || part_links_.size() < kLargePart || !capped_.empty()) return;
    last_part_ = part_links_;
    ++last_part_number_;
    reopened_ = 0;
    for (const std::uint32_t index : last_part_) links_[index].part = last_part_number_;
    const auto add = [&](std::uint32_t index) {
        if (links_[index].part == last_part_number_) return;
        links_[index].part = last_part_number_;
        last_part_.push_back(index);
    };
    for (std::size_t i = 0; i < last_part_.size(); ++i) {
        for (const Entry& entry : links_[last_part_[i]].entries) {
            if (cap_[entry.variable] != kNoIndex) return last_part_.clear();
            for (const LinkUse& use : route(entry.variable)) add(use.link);
        }
        if (last_part_.size() > kMuchMore * part_links_.size()) return last_part_.clear();
    }
}

// Collects the component around a link and solves it.
void MaxMin::reach(std::uint32_t seed) {
    ++round_;
    part_links_.assign(1, seed);
    capped_.clear();
    unfixed_ = 0;
    links_[seed].round = round_;
    for (std::size_t i = 0; i < part_links_.size(); ++i) gather(part_links_[i]);
    touched_.insert(touched_.end(), part_links_.begin(), part_links_.end());
    for (const std::uint32_t index : part_links_) {
        if (links_[index].own > 0 && level_[index] >= floor_) links_[index].open = round_;
    }
    remember_part();
    if (unfixed_ > 0) {
        solve_component();
    } else {
        for (const std::uint32_t index : part_links_) level_[index] = kUnbounded;
    }
}

// Sums the link's load and demand, and notes the links that its unfixed variables lead to.
void MaxMin::gather(std::uint32_t index) {
    int128 load = 0;
    std::uint64_t demand = 0;
    for (const Entry& entry : links_[index].entries) {
        const Place place = place_[entry.variable];
        if (is_below_floor(place)) {
            load += static_cast<int128>(level_[place.bottleneck]) * entry.demand;
            continue;
        }
        demand += entry.demand;
        ++unfixed_;
        if (entry.other == kNoIndex || cap_[entry.variable] != kNoIndex) {
            gather_rest(entry.variable, index);
        } else if (links_[entry.other].round != round_) {
            links_[entry.other].round = round_;
            part_links_.push_back(entry.other);
        }
    }
    fill_[index] = {load, demand};
}

void MaxMin::gather_rest(std::uint32_t variable, std::uint32_t index) {
    const auto uses = route(variable);
    if (cap_[variable] != kNoIndex && uses.front().link == index) {
        capped_.push_back({level_[cap_[variable]], variable});
    }
    for (const LinkUse& use : uses) {
        if (links_[use.link].round == round_) continue;
        links_[use.link].round = round_;
        part_links_.push_back(use.link);
    }
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
    for (std::uint32_t i = link.own; left > 0; ++i) {
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
