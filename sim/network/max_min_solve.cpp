// Progressive filling of the touched component.

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/random.hpp"
#include "network/max_min.hpp"

namespace orrery {

std::int64_t MaxMin::share(const Link& link) const {
    const int128 left = static_cast<int128>(link.capacity) * kCoefficientUnit - link.load;
    const int128 level = left / link.demand;
    return level < kUnbounded ? static_cast<std::int64_t>(level) : kUnbounded - 1;
}

void MaxMin::solve() {
    moved_.clear();
    touched_.clear();
    for (const std::uint32_t variable : fresh_) {
        bottleneck_[variable] = cap_[variable];
        moved_.push_back({variable, kNoIndex});
    }
    fresh_.clear();
    if (dirty_.empty()) return;
    if (round_ > 0xfffffff0u - 4 * dirty_.size()) {
        round_ = 0;
        std::fill(mark_.begin(), mark_.end(), 0);
        for (Link& link : links_) link.mark = 0;
    }
    const std::int64_t floor = lowest_floor();
    const std::uint32_t before = round_;
    for (const std::uint32_t seed : dirty_) {
        if (links_[seed].mark <= before) reach(seed, floor);
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

// Collects the component around a link and solves it.
void MaxMin::reach(std::uint32_t seed, std::int64_t floor) {
    round_ += 2;
    part_links_.assign(1, seed);
    part_variables_.clear();
    capped_.clear();
    links_[seed].mark = round_;
    for (std::size_t i = 0; i < part_links_.size(); ++i) gather(part_links_[i], floor);
    touched_.insert(touched_.end(), part_links_.begin(), part_links_.end());
    if (part_variables_.empty()) {
        for (const std::uint32_t index : part_links_) links_[index].level = kUnbounded;
        return;
    }
    solve_component();
}

void MaxMin::gather(std::uint32_t index, std::int64_t floor) {
    Link& link = links_[index];
    link.load = 0;
    link.demand = 0;
    for (const Entry& entry : link.entries) {
        const std::uint32_t variable = entry.variable;
        if (mark_[variable] != round_) {
            const std::uint32_t bottleneck = bottleneck_[variable];
            if (bottleneck != kNoIndex && links_[bottleneck].level < floor) {
                link.load += static_cast<int128>(links_[bottleneck].level) * entry.demand;
                continue;
            }
            mark_[variable] = round_;
            part_variables_.push_back(variable);
            if (cap_[variable] != kNoIndex) {
                capped_.push_back({links_[cap_[variable]].level, variable});
            }
            for (const LinkUse& use : route(variable)) {
                Link& other = links_[use.link];
                if (other.mark == round_) continue;
                other.mark = round_;
                part_links_.push_back(use.link);
            }
        }
        link.demand += entry.demand;
    }
}

void MaxMin::solve_component() {
    const bool ask = memo_.is_worth_asking(part_variables_.size());
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
        Link& link = links_[index];
        link.level = kUnbounded;
        if (link.demand > 0) heap_.push_back({share(link), index});
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    std::sort(capped_.begin(), capped_.end(), std::greater<>());
    while (true) {
        const std::int64_t level = lowest_link();
        if (!capped_.empty() && capped_.back().level <= level) {
            const Key cap = capped_.back();
            capped_.pop_back();
            if (mark_[cap.link] == round_) fix(cap.link, cap_[cap.link], cap.level);
            continue;
        }
        if (heap_.empty()) return;
        if (level < 1) throw SimulationError("a link has more flows than its rate can be shared by");
        batch_.clear();
        while (lowest_link() == level && !heap_.empty()) {
            batch_.push_back(heap_.front().link);
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
        const Key top = heap_.front();
        const Link& link = links_[top.link];
        const std::int64_t now = link.demand == 0 ? kUnbounded : share(link);
        if (now == top.level) return now;
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
        heap_.pop_back();
        if (link.demand == 0) continue;
        heap_.push_back({now, top.link});
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
    return kUnbounded;
}

void MaxMin::fix_at_link(std::uint32_t index, std::int64_t level) {
    links_[index].level = level;
    for (const Entry& entry : links_[index].entries) {
        if (mark_[entry.variable] == round_) fix(entry.variable, index, level);
    }
}

void MaxMin::fix(std::uint32_t variable, std::uint32_t bottleneck, std::int64_t level) {
    mark_[variable] = round_ + 1;
    for (const LinkUse& use : route(variable)) {
        Link& link = links_[use.link];
        const std::uint64_t demand = weight_[variable] * use.coefficient;
        link.load += static_cast<int128>(level) * demand;
        link.demand -= demand;
    }
    if (bottleneck_[variable] == bottleneck) return;
    moved_.push_back({variable, bottleneck_[variable]});
    bottleneck_[variable] = bottleneck;
}

MemoKey MaxMin::component_key() const {
    MemoKey key;
    for (const std::uint32_t variable : part_variables_) {
        key.add(identity_[variable], weight_[variable]);
    }
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
    for (const std::uint32_t index : part_links_) levels.emplace_back(index, links_[index].level);
    return levels;
}

// Sets the levels that such a component had before; each variable's bottleneck is the lowest level
// on its route, its cap before its links, a lower index before a higher one.
void MaxMin::recall(const SolutionMemo::Levels& levels) {
    for (const auto& [index, level] : levels) links_[index].level = level;
    for (const std::uint32_t variable : part_variables_) {
        std::uint32_t bottleneck = cap_[variable];
        std::int64_t lowest = bottleneck == kNoIndex ? kUnbounded : links_[bottleneck].level;
        for (const LinkUse& use : route(variable)) {
            const std::int64_t level = links_[use.link].level;
            const bool tie = level == lowest && bottleneck != cap_[variable];
            if (level < lowest || (tie && use.link < bottleneck)) {
                lowest = level;
                bottleneck = use.link;
            }
        }
        mark_[variable] = round_ + 1;
        if (bottleneck_[variable] == bottleneck) continue;
        moved_.push_back({variable, bottleneck_[variable]});
        bottleneck_[variable] = bottleneck;
    }
}

}  // namespace orrery
