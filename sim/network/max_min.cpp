// Links, variables and what changed about them; the filling itself is in max_min_solve.cpp.

#include "network/max_min.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kMostDemand = std::uint64_t{1} << 62;

}  // namespace

std::uint32_t MaxMin::add_link(std::int64_t capacity) {
    links_.emplace_back().capacity = capacity;
    fill_.emplace_back();
    level_.push_back(kUnbounded);
    return static_cast<std::uint32_t>(links_.size() - 1);
}

std::uint32_t MaxMin::add_cap(std::int64_t level) {
    const std::uint32_t index = add_link(level);
    level_[index] = level;
    links_[index].is_cap = true;
    return index;
}

std::uint32_t MaxMin::take_variable() {
    if (!free_variables_.empty()) {
        const std::uint32_t variable = free_variables_.back();
        free_variables_.pop_back();
        return variable;
    }
    place_.emplace_back();
    cap_.push_back(kNoIndex);
    leaving_.push_back(Leaving::no);
    weight_.push_back(0);
    identity_.push_back(0);
    hops_.emplace_back();
    return static_cast<std::uint32_t>(hops_.size() - 1);
}

MaxMin::Hops MaxMin::take_hops(std::uint32_t count) {
    if (count < free_hops_.size() && !free_hops_[count].empty()) {
        const std::uint32_t first = free_hops_[count].back();
        free_hops_[count].pop_back();
        return {first, count};
    }
    const auto first = static_cast<std::uint32_t>(uses_.size());
    uses_.resize(uses_.size() + count);
    slots_.resize(slots_.size() + count);
    return {first, count};
}

std::uint32_t MaxMin::add_variable(std::span<const LinkUse> route, std::uint32_t cap,
                                   std::uint64_t identity) {
    const std::uint32_t variable = take_variable();
    hops_[variable] = take_hops(static_cast<std::uint32_t>(route.size()));
    std::copy(route.begin(), route.end(), uses_.begin() + hops_[variable].first);
    place_[variable] = {};
    cap_[variable] = cap;
    weight_[variable] = 0;
    identity_[variable] = identity;
    return variable;
}

void MaxMin::remove_variable(std::uint32_t variable) {
    if (leaving_[variable] == Leaving::no) return free_variable(variable);
    leaving_[variable] = Leaving::removed;
}

void MaxMin::free_variable(std::uint32_t variable) {
    const Hops hops = hops_[variable];
    if (free_hops_.size() <= hops.count) free_hops_.resize(hops.count + 1);
    free_hops_[hops.count].push_back(hops.first);
    free_variables_.push_back(variable);
}

void MaxMin::set_weight(std::uint32_t variable, std::uint64_t weight) {
    const auto [first, count] = hops_[variable];
    const std::uint64_t before = weight_[variable];
    if (leaving_[variable] == Leaving::yes) clear_left();
    const std::uint32_t bottleneck = place_[variable].bottleneck;
    std::int64_t floor = kUnbounded;
    for (std::uint32_t i = first; i < first + count; ++i) {
        floor = std::min(floor, level_[uses_[i].link]);
    }
    for (std::uint32_t i = first; i < first + count; ++i) {
        Link& link = links_[uses_[i].link];
        link.total += (weight - before) * uses_[i].coefficient;  // modulo 2^64
        if (link.total > kMostDemand) throw SimulationError("too many flows on one link");
        link.arrival |= weight > before;
        touch(uses_[i].link, floor);
        // What filling left: right for departures, collected anew after arrivals.
        const std::uint64_t less = (before - weight) * uses_[i].coefficient;
        if (weight < before && bottleneck == uses_[i].link) fill_[bottleneck].demand -= less;
        if (weight < before && bottleneck != uses_[i].link && bottleneck != kNoIndex) {
            fill_[uses_[i].link].load -= static_cast<int128>(level_[bottleneck]) * less;
        }
        if (before > 0 && weight > 0)
            link.entries[slots_[i]].demand = weight * uses_[i].coefficient;
    }
    weight_[variable] = weight;
    if (before == 0) join(variable);
    if (weight == 0) leave(variable);
}

void MaxMin::join(std::uint32_t variable) {
    const auto [first, count] = hops_[variable];
    const bool pair = count == 2 && uses_[first].coefficient == uses_[first + 1].coefficient;
    for (std::uint32_t i = first; i < first + count; ++i) {
        std::vector<Entry>& entries = links_[uses_[i].link].entries;
        slots_[i] = static_cast<std::uint32_t>(entries.size());
        entries.push_back({variable, pair ? uses_[2 * first + 1 - i].link : kNoIndex,
                           weight_[variable] * uses_[i].coefficient});
    }
    if (count == 0) fresh_.push_back(variable);
}

std::uint32_t MaxMin::hop_at(std::uint32_t variable, std::uint32_t link) const {
    std::uint32_t hop = hops_[variable].first;
    while (uses_[hop].link != link) ++hop;
    return hop;
}

void MaxMin::swap_entries(std::uint32_t index, std::uint32_t a, std::uint32_t b) {
    if (a == b) return;
    std::vector<Entry>& entries = links_[index].entries;
    std::swap(entries[a], entries[b]);
    slots_[hop_at(entries[a].variable, index)] = a;
    slots_[hop_at(entries[b].variable, index)] = b;
}

// Moves the variable's entry across the border between the link's own and the rest.
void MaxMin::make_own(std::uint32_t variable, std::uint32_t index, bool own) {
    Link& link = links_[index];
    if (link.is_cap) return;
    const std::uint32_t slot = slots_[hop_at(variable, index)];
    swap_entries(index, slot, own ? link.own++ : --link.own);
}

void MaxMin::leave(std::uint32_t variable) {
    place_[variable].bottleneck = kNoIndex;
    if (hops_[variable].count == 0) std::erase(fresh_, variable);
    leaving_[variable] = Leaving::yes;
    left_.push_back(variable);
}

// The variable's entries, one by one.
void MaxMin::take_out(std::uint32_t variable) {
    const auto [first, count] = hops_[variable];
    for (std::uint32_t i = first; i < first + count; ++i) {
        const std::uint32_t index = uses_[i].link;
        Link& link = links_[index];
        if (link.total == 0) {
            link.entries.clear();
            link.own = 0;
            continue;
        }
        if (slots_[i] < link.own) swap_entries(index, slots_[i], --link.own);
        swap_entries(index, slots_[i], static_cast<std::uint32_t>(link.entries.size() - 1));
        link.entries.pop_back();
    }
}

void MaxMin::clear_left() {
    for (const std::uint32_t variable : left_) {
        const Leaving how = leaving_[variable];
        if (how == Leaving::no) continue;  // has come back
        leaving_[variable] = Leaving::no;
        take_out(variable);
        if (how == Leaving::removed) free_variable(variable);
    }
    left_.clear();
}

void MaxMin::touch(std::uint32_t index, std::int64_t floor) {
    Link& link = links_[index];
    link.floor = std::min(link.floor, floor);
    if (link.dirty) return;
    link.dirty = true;
    dirty_.push_back(index);
}

std::span<const LinkUse> MaxMin::route(std::uint32_t variable) const {
    return std::span(uses_).subspan(hops_[variable].first, hops_[variable].count);
}

}  // namespace orrery
