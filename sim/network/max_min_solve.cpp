// Progressive filling of the touched component.

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/random.hpp"
#include "network/max_min.hpp"

namespace orrery {

std::int64_t MaxMin::share(const Link& link) {
    const int128 left = static_cast<int128>(link.capacity) * kCoefficientUnit - link.load;
    // Whole coefficients, nearly always: the same quotient from 64-bit numbers.
    if (link.demand % kCoefficientUnit == 0) {
        return static_cast<std::int64_t>(left / kCoefficientUnit) /
               static_cast<std::int64_t>(link.demand / kCoefficientUnit);
    }
    const int128 level = left / link.demand;
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
        for (Link& link : links_) link.round = 0;
    }
    floor_ = lowest_floor();
    const std::uint32_t before = round_;
    for (const std::uint32_t seed : dirty_) {
        if (links_[seed].round <= before && !solve_alone(seed)) reach(seed);
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
        link.load = 0;
        link.demand = link.total;
        floor = std::min(floor, share(link));
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
    Link& narrow = here ? link : links_[other];
    narrow.load = 0;
    narrow.demand = demand;
    const std::int64_t level = share(narrow);
    if (level < 1) return false;
    ++solves_;
    link.round = links_[other].round = ++round_;
    level_[index] = here ? level : kUnbounded;
    level_[other] = here ? kUnbounded : level;
    touched_.insert(touched_.end(), {index, other});
    put(variable, here ? index : other);
    return true;
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
    links_[index].load = load;
    links_[index].demand = demand;
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
        if (links_[index].demand > 0) heap_.push_back({share(links_[index]), index});
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    std::sort(capped_.begin(), capped_.end(), std::greater<>());
    while (true) {
        const std::int64_t level = lowest_link();
        if (!capped_.empty() && capped_.back().level <= level) {
            const Key cap = capped_.back();
            capped_.pop_back();
            if (place_[cap.number].round != round_) fix_at_cap(cap.number, cap.level);
            continue;
        }
        if (heap_.empty()) return;
        if (level < 1)
            throw SimulationError("a link has more flows than its rate can be shared by");
        batch_.clear();
        while (lowest_link() == level && !heap_.empty()) {
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
        const Link& link = links_[top.number];
        if (link.demand == 0) {
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
            heap_.pop_back();
            continue;
        }
        const std::int64_t now = share(link);
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

// The link is full: what it holds and nothing held before has this level.
void MaxMin::fix_at_link(std::uint32_t index, std::int64_t level) {
    level_[index] = level;
    for (const Entry& entry : links_[index].entries) {
        Place& place = place_[entry.variable];
        if (place.round == round_ || is_below_floor(place)) continue;
        place.round = round_;
        if (entry.other != kNoIndex) {
            links_[entry.other].load += static_cast<int128>(level) * entry.demand;
            links_[entry.other].demand -= entry.demand;
        } else {
            load_route(entry.variable, level);
        }
        if (place.bottleneck != index) put(entry.variable, index);
    }
}

void MaxMin::fix_at_cap(std::uint32_t variable, std::int64_t level) {
    place_[variable].round = round_;
    load_route(variable, level);
    put(variable, cap_[variable]);
}

void MaxMin::load_route(std::uint32_t variable, std::int64_t level) {
    for (const LinkUse& use : route(variable)) {
        const std::uint64_t demand = weight_[variable] * use.coefficient;
        links_[use.link].load += static_cast<int128>(level) * demand;
        links_[use.link].demand -= demand;
    }
}

void MaxMin::put(std::uint32_t variable, std::uint32_t bottleneck) {
    if (place_[variable].bottleneck == bottleneck) return;
    moved_.push_back({variable, place_[variable].bottleneck});
    place_[variable].bottleneck = bottleneck;
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
            static_cast<int128>(links_[index].capacity) * kCoefficientUnit - links_[index].load;
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
        put(variable, bottleneck);
    }
}

}  // namespace orrery
