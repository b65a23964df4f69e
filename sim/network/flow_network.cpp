// Links, and how a flow finds its variable. What happens over time is in flow_network_time.cpp.

#include "network/flow_network.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/random.hpp"
#include "core/unit_text.hpp"

namespace orrery {
namespace {

constexpr double kLargestRate = 8e15;  // byte/s
constexpr std::uint32_t kLargestWeight = 65535;

std::int64_t to_units(BytesPerSecond rate, std::string_view name) {
    if (!(rate.value() >= 1.0) || !(rate.value() < kLargestRate)) {
        throw InputError(
            fmt::format("{} = {}: bandwidth must be from 1 B/s to 8 PB/s", name, to_text(rate)));
    }
    return std::llround(rate.value() * static_cast<double>(kRateUnit));
}

std::uint32_t to_coefficient(double coefficient) {
    if (coefficient == 1.0) return kCoefficientUnit;
    const double scaled = coefficient * kCoefficientUnit;
    if (!(scaled >= 1.0) || !(scaled < 0x1p32)) {
        throw InputError(
            fmt::format("flow: coefficient = {}: must be from 2^-24 to 255", coefficient));
    }
    return static_cast<std::uint32_t>(std::llround(scaled));
}

}  // namespace

LinkId FlowNetwork::add_link(BytesPerSecond capacity, LinkKind kind, std::string_view name) {
    const std::int64_t units = to_units(capacity, name);
    std::uint32_t number = kNoIndex;
    if (kind == LinkKind::shared) {
        number = sharing_.add_link(units);
        groups_.resize(number + 1);
    }
    links_.push_back({units, kind, number});
    return {static_cast<std::uint32_t>(links_.size() - 1)};
}

BytesPerSecond FlowNetwork::capacity(LinkId link) const {
    return BytesPerSecond(static_cast<double>(links_.at(link.index).capacity) / kRateUnit);
}

FlowId FlowNetwork::start(const Flow& flow, SimTime now) {
    move_to(now, "start");
    const double bytes = flow.bytes.value();
    if (!(bytes >= 0) || !(bytes < 9e18)) {
        throw InputError(fmt::format("flow: bytes = {}: must be from 0 to 9e18", bytes));
    }
    if (flow.weight < 1 || flow.weight > kLargestWeight) {
        throw InputError(fmt::format("flow: weight = {}: must be from 1 to 65535", flow.weight));
    }
    if (flow.latency.ps < 0) {
        throw InputError(fmt::format("flow: latency = {} ps: must be >= 0", flow.latency.ps));
    }
    read_route(flow);
    const std::uint32_t index = take_flow(flow, std::llround(bytes));
    flows_[index].variable = variable_of(flow.weight);
    ++variables_[flows_[index].variable].flows;
    ++counts_.flows;
    if (flow.latency.ps == 0 && flows_[index].bytes > 0) {
        begin_sharing(index);
    } else {
        wait(index, (now + flow.latency).ps);
    }
    return {index};
}

// Shared links go to route_, ordered and each once; the rest becomes cap_.
void FlowNetwork::read_route(const Flow& flow) {
    route_.clear();
    std::int64_t cap = kUnbounded;
    if (flow.cap) cap = to_units(*flow.cap, "flow: cap");
    for (const RouteHop& hop : flow.route) {
        if (hop.link.index >= links_.size()) {
            throw InputError(
                fmt::format("flow: link {}: there are {} links", hop.link.index, links_.size()));
        }
        const Link& link = links_[hop.link.index];
        const std::uint32_t coefficient = to_coefficient(hop.coefficient);
        if (link.kind == LinkKind::shared) {
            route_.push_back({link.bottleneck, coefficient});
        } else {
            const int128 units = static_cast<int128>(link.capacity) * kCoefficientUnit;
            cap = std::min(
                cap, static_cast<std::int64_t>(std::min<int128>(units / coefficient, kUnbounded)));
        }
    }
    if (route_.empty() && cap == kUnbounded) {
        throw InputError("flow: route: has no link and no cap, its rate has no limit");
    }
    cap_ = cap == kUnbounded ? kNoIndex : cap_number(std::max<std::int64_t>(1, cap / flow.weight));
    order_route();
}

// By link, each once.
void FlowNetwork::order_route() {
    const auto before = [](const LinkUse& a, const LinkUse& b) { return a.link < b.link; };
    if (!std::is_sorted(route_.begin(), route_.end(), before)) {
        std::sort(route_.begin(), route_.end(), before);
    }
    std::size_t kept = 0;
    for (std::size_t i = 1; i < route_.size(); ++i) {
        if (route_[i].link != route_[kept].link) {
            route_[++kept] = route_[i];
            continue;
        }
        const std::uint64_t sum = std::uint64_t{route_[kept].coefficient} + route_[i].coefficient;
        if (sum > 0xffffffffu) throw InputError("flow: route: uses a link more than 255 times");
        route_[kept].coefficient = static_cast<std::uint32_t>(sum);
    }
    if (!route_.empty()) route_.resize(kept + 1);
}

std::uint32_t FlowNetwork::cap_number(std::int64_t level) {
    const auto [at, is_new] = caps_.try_emplace(level, 0);
    if (is_new) {
        at->second = sharing_.add_cap(level);
        groups_.resize(at->second + 1);
        groups_[at->second].level = level;
        groups_[at->second].since_ps = now_ps_;
    }
    return at->second;
}

// The variable for route_, cap_ and a weight: the one there is, or a new one.
std::uint32_t FlowNetwork::variable_of(std::uint32_t weight) {
    std::uint64_t hash = mix64((std::uint64_t{cap_} << 32) + weight);
    for (const LinkUse& use : route_) {
        hash = mix64(hash ^ ((std::uint64_t{use.link} << 32) + use.coefficient));
    }
    identity_ = hash;
    if (forgotten_ != kNoIndex) forget_variables();
    if (4 * (table_used_ + 1) > 3 * table_.size()) grow_table();
    const std::size_t at = table_place(hash, weight);
    if (table_[at].variable != kNoIndex) return table_[at].variable;
    const std::uint32_t variable = sharing_.add_variable(route_, cap_, hash);
    if (variable >= variables_.size()) variables_.resize(variable + 1);
    variables_[variable] = {.weight = weight};
    table_[at] = {static_cast<std::uint32_t>(hash), variable};
    ++table_used_;
    ++counts_.variables;
    return variable;
}

// Where that variable stands in the table, or the free place where it would.
std::size_t FlowNetwork::table_place(std::uint64_t identity, std::uint32_t weight) const {
    const std::size_t mask = table_.size() - 1;
    const auto hash = static_cast<std::uint32_t>(identity);
    std::size_t at = hash & mask;
    for (; table_[at].variable != kNoIndex; at = (at + 1) & mask) {
        const std::uint32_t variable = table_[at].variable;
        if (table_[at].hash != hash || sharing_.identity(variable) != identity) continue;
        if (sharing_.cap(variable) != cap_ || variables_[variable].weight != weight) continue;
        const auto route = sharing_.route(variable);
        if (std::equal(route.begin(), route.end(), route_.begin(), route_.end())) break;
    }
    return at;
}

void FlowNetwork::grow_table() {
    std::vector<Named> old(std::max<std::size_t>(16, 2 * table_.size()));
    old.swap(table_);
    const std::size_t mask = table_.size() - 1;
    for (const Named& named : old) {
        if (named.variable == kNoIndex) continue;
        std::size_t at = named.hash & mask;
        while (table_[at].variable != kNoIndex) at = (at + 1) & mask;
        table_[at] = named;
    }
}

// Variables without flows: one by one, or all at once where no others are in the table.
void FlowNetwork::forget_variables() {
    const bool all = forgotten_count_ == table_used_ && table_.size() < 16 * table_used_;
    if (all) {
        std::fill(table_.begin(), table_.end(), Named{});
        table_used_ = 0;
    }
    while (forgotten_ != kNoIndex) {
        const std::uint32_t variable = forgotten_;
        forgotten_ = variables_[variable].flow;
        if (!all) take_from_table(variable);
        sharing_.remove_variable(variable);
    }
    forgotten_count_ = 0;
}

// Those behind it in the table close the gap.
void FlowNetwork::take_from_table(std::uint32_t variable) {
    const std::size_t mask = table_.size() - 1;
    std::size_t gap = sharing_.identity(variable) & mask;
    while (table_[gap].variable != variable) gap = (gap + 1) & mask;
    for (std::size_t at = (gap + 1) & mask; table_[at].variable != kNoIndex; at = (at + 1) & mask) {
        const std::size_t home = table_[at].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        table_[gap] = table_[at];
        gap = at;
    }
    table_[gap] = {};
    --table_used_;
}

std::uint32_t FlowNetwork::take_flow(const Flow& flow, std::int64_t bytes) {
    if (free_flow_ == kNoIndex) {
        flows_.push_back({flow.tag, bytes, kNoIndex, kNoIndex});
        return static_cast<std::uint32_t>(flows_.size() - 1);
    }
    const std::uint32_t index = free_flow_;
    free_flow_ = flows_[index].next;
    flows_[index] = {flow.tag, bytes, kNoIndex, kNoIndex};
    return index;
}

const FlowNetwork::FlowState& FlowNetwork::state(FlowId flow) const {
    if (flow.index >= flows_.size() || flows_[flow.index].variable == kNoIndex) {
        throw std::logic_error("FlowNetwork: no such flow is under way");
    }
    return flows_[flow.index];
}

FlowCounts FlowNetwork::counts() const {
    FlowCounts counts = counts_;
    counts.solves = sharing_.solves();
    counts.remembered = sharing_.remembered();
    return counts;
}

}  // namespace orrery
