// KV on its way from a prefill engine to a decode engine (HandoffSpec).
#include <algorithm>

#include "serving/cluster.hpp"

namespace orrery {

// Reserves memory in the least loaded decode engine that will have the sequence.
bool Cluster::place(std::uint32_t index) {
    Sequence& s = sequences_[index];
    std::vector<std::pair<std::int64_t, std::uint32_t>>& order = by_load_;
    order.clear();
    for (std::uint32_t e = 0; e < engines_.size(); ++e) {
        const Engine& engine = engines_[e];
        if (engine.state != State::up || pools_[engine.pool].spec->role != EngineRole::decode) {
            continue;
        }
        order.emplace_back(load(engine), e);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [tokens, e] : order) {
        const std::uint32_t g = choose_group(engines_[e]);
        if (!engines_[e].groups[g].reserve(index, now())) continue;
        s.next_engine = e;
        s.next_group = g;
        s.attempt = ++attempts_ & Event::kGenerationMask;
        s.parts_left = 0;
        count(engines_[e]);
        return true;
    }
    return false;
}

void Cluster::place_waiting() {
    while (placeless_head_ < placeless_.size()) {
        const std::uint32_t index = placeless_[placeless_head_];
        if (!place(index)) {
            place_blocked_ = true;
            break;
        }
        ++placeless_head_;
        send(index, 1);
    }
    if (placeless_head_ == placeless_.size()) {
        placeless_.clear();
        placeless_head_ = 0;
    } else if (placeless_head_ > 64 && 2 * placeless_head_ > placeless_.size()) {
        placeless_.erase(placeless_.begin(),
                         placeless_.begin() + static_cast<std::ptrdiff_t>(placeless_head_));
        placeless_head_ = 0;
    }
}

// Sends a share of the sequence's KV: a message from each GPU of its group.
void Cluster::send(std::uint32_t index, double share) {
    Sequence& s = sequences_[index];
    const HandoffSpec& handoff = spec_.handoff;
    Engine& source = engines_[s.engine];
    const PoolSpec& from = *pools_[source.pool].spec;
    // The token just given out is not in the cache.
    const std::int64_t tokens = s.state == SequenceState::handing_over ? s.target - 1 : s.target;
    const double bytes = share * handoff.bytes_per_token * static_cast<double>(tokens);
    if (handoff.network == nullptr) {
        SimTime& until = source.sending_until[s.group];
        const Seconds time =
            Bytes(bytes) / (handoff.bandwidth * static_cast<double>(from.gpus_per_group));
        until = std::max(until, now()) + to_sim_duration(time);
        ++s.parts_left;
        simulator_.schedule(until + handoff.latency, Kind::handoff, index, s.attempt);
        return;
    }
    const Engine& target = engines_[s.next_engine];
    const PoolSpec& to = *pools_[target.pool].spec;
    const auto first_rank = [this](const Engine& engine, const PoolSpec& pool, std::uint32_t e,
                                   std::uint32_t group) {
        const auto place = static_cast<std::int64_t>(e - pools_[engine.pool].first) / pool.lanes;
        return pool.first_rank +
               static_cast<std::uint32_t>(place * pool.gpus_per_engine +
                                          static_cast<std::int64_t>(group) * pool.gpus_per_group);
    };
    const std::uint32_t here = first_rank(source, from, s.engine, s.group);
    const std::uint32_t there = first_rank(target, to, s.next_engine, s.next_group);
    for (std::int64_t i = 0; i < from.gpus_per_group; ++i) {
        handoff.network->start(
            {.source = here + static_cast<std::uint32_t>(i),
             .destination = there + static_cast<std::uint32_t>(i % to.gpus_per_group),
             .bytes = Bytes(bytes / static_cast<double>(from.gpus_per_group)),
             .latency = handoff.latency,
             .tag = std::uint64_t{s.attempt} << 32 | index,
             .hash = static_cast<std::uint64_t>(s.number)},
            now());
        ++s.parts_left;
    }
}

// For sequences whose prompt ends with the iteration just begun.
void Cluster::start_layer_wise(Engine& engine, SimTime end) {
    if (placeless_head_ < placeless_.size()) return;  // others are first in line
    const std::int64_t first_layer = (end - now()).ps / spec_.handoff.layers;
    for (const AttentionGroup& group : engine.groups) {
        group.for_each_last_chunk([&](std::uint32_t index) {
            Sequence& s = sequences_[index];
            if (s.emitted + 1 >= s.output || !place(index)) return;
            simulator_.schedule(now() + SimDuration{first_layer}, Kind::layers, index, s.attempt);
            ++s.parts_left;  // the last layer's, so that the others do not end the hand-over
        });
    }
}

void Cluster::advance_network() {
    network_due_ = false;
    std::sort(layers_due_.begin(), layers_due_.end());
    for (const auto& [index, attempt] : layers_due_) {
        const Sequence& s = sequences_[index];
        if (s.attempt != attempt || s.next_engine == Sequence::kNone) continue;
        const auto layers = static_cast<double>(spec_.handoff.layers);
        send(index, (layers - 1) / layers);
    }
    layers_due_.clear();
    RoutedNetwork* const network = spec_.handoff.network;
    if (network != nullptr) {
        while (true) {
            const auto next = network->next_completion();
            if (!next || *next > now()) break;
            for (const Completion& done : network->advance_to(*next)) {
                handed_.emplace_back(static_cast<std::uint32_t>(done.tag),
                                     static_cast<std::uint32_t>(done.tag >> 32));
            }
        }
    }
    std::sort(handed_.begin(), handed_.end());
    for (const auto& [index, attempt] : handed_) part_done(index, attempt);
    handed_.clear();
}

void Cluster::part_done(std::uint32_t index, std::uint32_t attempt) {
    Sequence& s = sequences_[index];
    if (s.state == SequenceState::unused || s.attempt != attempt ||
        s.next_engine == Sequence::kNone) {
        return;  // of an attempt that a failure ended
    }
    if (--s.parts_left == 0) hand_over_done(index);
}

void Cluster::hand_over_done(std::uint32_t index) {
    Sequence& s = sequences_[index];
    group_of(s).release_source(index);
    touch(s.engine);
    s.engine = s.next_engine;
    s.group = s.next_group;
    group_of(s).join(index);
    s.next_engine = Sequence::kNone;
    touch(s.engine);
    result_.handoff.add(now() - s.last_token);
}

// An event when the network has something to do next, where none is scheduled for then.
void Cluster::schedule_network() {
    const auto next = spec_.handoff.network->next_completion();
    if (!next || (network_event_ && *network_event_ <= *next && *network_event_ > now())) return;
    network_event_ = std::max(*next, now());
    simulator_.schedule(*network_event_, Kind::network, 0);
}

}  // namespace orrery
