// What belongs to the touched component, and the sums that filling it starts from.

#include <algorithm>

#include "network/max_min.hpp"

namespace orrery {
namespace {

constexpr std::size_t kLargePart = 16;        // links worth remembering
constexpr std::size_t kMuchMore = 4;          // times the links that were touched
constexpr std::uint32_t kFewEndings = 2;      // in a row, then more are expected
constexpr std::uint32_t kMostReopened = 256;  // then what it has fallen into is looked for

}  // namespace

// Below this level nothing can have changed.
std::int64_t MaxMin::lowest_floor() {
    std::int64_t floor = kUnbounded;
    for (const std::uint32_t index : dirty_) {
        const Link& link = links_[index];
        floor = std::min(floor, link.floor);
        if (link.arrival && link.total > 0) floor = std::min(floor, share(index, {0, link.total}));
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
        level_[index] = kUnbounded;  // nothing waits for it: not touched
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
        if (!only_ends && last_part_.empty()) break;
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
    floor_ = lowest_floor();
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

}  // namespace orrery
