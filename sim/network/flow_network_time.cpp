// What happens over time: latencies end, levels change, flows complete.

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/flow_network.hpp"
#include "network/indexed_heap.hpp"

namespace orrery {
namespace {

// Meter units of one byte: 1024 levels x 10^12 ps.
constexpr int128 kByte = int128{kRateUnit} * 1'000'000'000'000;

constexpr std::int64_t kLatest = kUnbounded - 1;  // ps

constexpr int128 divide_up(int128 a, int128 b) { return (a + b - 1) / b; }

}  // namespace

void FlowNetwork::move_to(SimTime now, const char* what) {
    if (now.ps == now_ps_) return;
    const auto next = next_completion();
    if (now.ps < now_ps_ || (next && *next < now)) {
        throw std::logic_error(fmt::format("FlowNetwork::{} at {} ps: now is {} ps, next {} ps",
                                           what, now.ps, now_ps_, next ? next->ps : -1));
    }
    now_ps_ = now.ps;
}

std::optional<SimTime> FlowNetwork::next_completion() {
    settle();
    std::int64_t next = order_.empty() ? kUnbounded : groups_[order_.front()].next_ps;
    if (!waiting_.empty()) next = std::min(next, waiting_.begin()->first);
    if (next == kUnbounded) return std::nullopt;
    return SimTime{next};
}

std::span<const Completion> FlowNetwork::advance_to(SimTime now) {
    completions_.clear();
    settle();
    move_to(now, "advance_to");
    complete_due();
    begin_sharing();
    return completions_;
}

void FlowNetwork::wait(std::uint32_t flow, std::int64_t until_ps) {
    if (until_ps == last_wait_ps_) {
        flows_[last_chain_->last].next = flow;
        last_chain_->last = flow;
        return;
    }
    const auto [at, is_new] = waiting_.try_emplace(until_ps, Chain{flow, flow});
    if (!is_new) {
        flows_[at->second.last].next = flow;
        at->second.last = flow;
    }
    last_wait_ps_ = until_ps;
    last_chain_ = &at->second;
}

// Latencies that end now.
void FlowNetwork::begin_sharing() {
    if (waiting_.empty() || waiting_.begin()->first > now_ps_) return;
    const Chain chain = waiting_.begin()->second;
    if (last_wait_ps_ == now_ps_) last_wait_ps_ = -1;
    waiting_.erase(waiting_.begin());
    for (std::uint32_t flow = chain.first; flow != kNoIndex;) {
        const std::uint32_t next = flows_[flow].next;
        if (flows_[flow].bytes > 0) {
            begin_sharing(flow);
        } else {
            complete(flow);
        }
        flow = next;
    }
}

void FlowNetwork::begin_sharing(std::uint32_t flow) {
    const std::uint32_t index = flows_[flow].variable;
    Variable& variable = variables_[index];
    const std::uint32_t group = sharing_.bottleneck(index);
    flows_[flow].next = kSharing;
    ++variable.active;
    sharing_.set_weight(index, std::uint64_t{variable.active} * variable.weight);
    // Without a group yet, meters count from 0.
    Meter target = divide_up(kByte * flows_[flow].bytes, variable.weight);
    if (group != kNoIndex) {
        bring_up(groups_[group]);
        target += groups_[group].meter;
    }
    if (variable.active == 1) {
        variable.meter = target;
        variable.flow = flow;
        return;
    }
    join_crowd(index, flow, target);
    // settle() predicts for links that were touched; a cap's group is not among them.
    if (group != kNoIndex && sharing_.is_cap(group)) predict(group);
}

// One more flow of a variable that has some; the first to complete stands in the variable itself.
void FlowNetwork::join_crowd(std::uint32_t index, std::uint32_t flow, Meter target) {
    Variable& variable = variables_[index];
    if (variable.crowd == kNoIndex) {
        if (free_crowds_.empty()) {
            free_crowds_.push_back(static_cast<std::uint32_t>(crowds_.size()));
            crowds_.emplace_back();
        }
        variable.crowd = free_crowds_.back();
        free_crowds_.pop_back();
    }
    const std::uint32_t group = sharing_.bottleneck(index);
    if (target < variable.meter) {
        std::swap(target, variable.meter);
        std::swap(flow, variable.flow);
        if (group != kNoIndex) {
            heap::raise(
                groups_[group].heap, variable.place,
                [&](auto a, auto b) { return variables_[a].meter < variables_[b].meter; },
                [&](auto v) -> std::uint32_t& { return variables_[v].place; });
        }
    }
    Crowd& crowd = crowds_[variable.crowd];
    crowd.heap.emplace_back(target + crowd.offset, flow);
    std::push_heap(crowd.heap.begin(), crowd.heap.end(), std::greater<>());
}

// Flows whose group's meter has come far enough.
void FlowNetwork::complete_due() {
    while (!order_.empty() && groups_[order_.front()].next_ps <= now_ps_) {
        const std::uint32_t index = order_.front();
        Group& group = groups_[index];
        bring_up(group);
        while (!group.heap.empty() && variables_[group.heap.front()].meter <= group.meter) {
            complete_first(group.heap.front());
        }
        predict(index);
    }
}

void FlowNetwork::complete_first(std::uint32_t index) {
    const auto less = [&](auto a, auto b) { return variables_[a].meter < variables_[b].meter; };
    const auto place = [&](auto v) -> std::uint32_t& { return variables_[v].place; };
    Variable& variable = variables_[index];
    Group& group = groups_[sharing_.bottleneck(index)];
    const std::uint32_t flow = variable.flow;
    --variable.active;
    if (variable.active > 0) {
        Crowd& crowd = crowds_[variable.crowd];
        std::pop_heap(crowd.heap.begin(), crowd.heap.end(), std::greater<>());
        variable.meter = crowd.heap.back().first - crowd.offset;
        variable.flow = crowd.heap.back().second;
        crowd.heap.pop_back();
        heap::lower(group.heap, variable.place, less, place);
    } else {
        heap::erase(group.heap, variable.place, less, place);
        if (variable.crowd != kNoIndex) {
            crowds_[variable.crowd].offset = 0;
            free_crowds_.push_back(variable.crowd);
            variable.crowd = kNoIndex;
        }
    }
    sharing_.set_weight(index, std::uint64_t{variable.active} * variable.weight);
    complete(flow);
}

void FlowNetwork::complete(std::uint32_t flow) {
    FlowState& state = flows_[flow];
    completions_.push_back({state.tag, {flow}});
    ++counts_.completed;
    if (--variables_[state.variable].flows == 0) {
        variables_[state.variable].flow = forgotten_;
        forgotten_ = state.variable;
        ++forgotten_count_;
    }
    state.variable = kNoIndex;
    state.next = free_flow_;
    free_flow_ = flow;
}

// Makes levels, groups and predictions right at now.
void FlowNetwork::settle() {
    if (sharing_.is_solved()) return;
    sharing_.solve();
    for (const std::uint32_t index : sharing_.touched()) bring_up(groups_[index]);
    for (const MaxMin::Move& move : sharing_.moved()) {
        change_group(move.variable, move.from, sharing_.bottleneck(move.variable));
    }
    for (const std::uint32_t index : sharing_.touched()) {
        const std::int64_t level = sharing_.level(index);
        groups_[index].level = level == kUnbounded ? 0 : level;
        predict(index);
    }
    for (const MaxMin::Move& move : sharing_.moved()) {
        const std::uint32_t to = sharing_.bottleneck(move.variable);
        if (sharing_.is_cap(to)) predict(to);
        if (move.from != kNoIndex && sharing_.is_cap(move.from)) predict(move.from);
    }
}

void FlowNetwork::bring_up(Group& group) {
    group.meter += static_cast<Meter>(group.level) * (now_ps_ - group.since_ps);
    group.since_ps = now_ps_;
}

// What the variable still needs stays the same; the meter that counts it is another.
void FlowNetwork::change_group(std::uint32_t index, std::uint32_t from, std::uint32_t to) {
    const auto less = [&](auto a, auto b) { return variables_[a].meter < variables_[b].meter; };
    const auto place = [&](auto v) -> std::uint32_t& { return variables_[v].place; };
    Variable& variable = variables_[index];
    bring_up(groups_[to]);
    Meter shift = groups_[to].meter;
    if (from != kNoIndex) {
        bring_up(groups_[from]);
        shift -= groups_[from].meter;
        heap::erase(groups_[from].heap, variable.place, less, place);
    }
    variable.meter += shift;
    if (variable.crowd != kNoIndex) crowds_[variable.crowd].offset -= shift;
    heap::push(groups_[to].heap, index, less, place);
}

// When the group's first variable completes, and its place among the groups.
void FlowNetwork::predict(std::uint32_t index) {
    const auto less = [&](auto a, auto b) { return groups_[a].next_ps < groups_[b].next_ps; };
    const auto place = [&](auto g) -> std::uint32_t& { return groups_[g].place; };
    Group& group = groups_[index];
    const bool was_in = group.next_ps != kUnbounded;
    group.next_ps = kUnbounded;
    if (!group.heap.empty() && group.level > 0) {
        const Meter need = variables_[group.heap.front()].meter - group.meter;
        const Meter at = group.since_ps + std::max<Meter>(0, divide_up(need, group.level));
        // Beyond the range of time: an error only if nothing speeds it up before the end.
        if (now_ps_ >= kLatest) throw SimulationError("a flow takes longer than 106 days");
        group.next_ps = static_cast<std::int64_t>(std::min<Meter>(at, kLatest));
    }
    if (group.next_ps != kUnbounded) {
        if (was_in) {
            heap::mend(order_, group.place, less, place);
        } else {
            heap::push(order_, index, less, place);
        }
    } else if (was_in) {
        heap::erase(order_, group.place, less, place);
    }
}

BytesPerSecond FlowNetwork::rate(FlowId flow) {
    settle();
    const FlowState& at = state(flow);
    if (at.next != kSharing) return BytesPerSecond(0);
    const Group& group = groups_[sharing_.bottleneck(at.variable)];
    const double weight = variables_[at.variable].weight;
    return BytesPerSecond(static_cast<double>(group.level) * weight / kRateUnit);
}

Bytes FlowNetwork::left(FlowId flow) {
    settle();
    const FlowState& at = state(flow);
    if (at.next != kSharing) return Bytes(static_cast<double>(at.bytes));
    const Variable& variable = variables_[at.variable];
    Group& group = groups_[sharing_.bottleneck(at.variable)];
    bring_up(group);
    Meter target = variable.meter;
    if (variable.flow != flow.index) {
        const Crowd& crowd = crowds_[variable.crowd];
        const auto own = std::find_if(crowd.heap.begin(), crowd.heap.end(),
                                      [&](const auto& f) { return f.second == flow.index; });
        target = own->first - crowd.offset;
    }
    const Meter need = std::max<Meter>(0, target - group.meter) * variable.weight;
    return Bytes(static_cast<double>(divide_up(need, kByte)));
}

}  // namespace orrery
