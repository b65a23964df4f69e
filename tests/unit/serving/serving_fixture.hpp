#pragma once
// Small deployments and workloads for the tests of the event side of serving.

#include <functional>
#include <vector>

#include "serving/cluster_spec.hpp"
#include "serving/workload.hpp"

namespace orrery {

constexpr std::int64_t kMillisecond = 1'000'000'000;  // ps
constexpr std::int64_t kSecond = 1000 * kMillisecond;

// Of the slowest group: base + per prompt token + per decoding sequence + per token of decode
// context.
struct LinearTimer {
    std::int64_t base_ps = 0, prefill_ps = 0, decode_ps = 0, context_ps = 0;
    std::int64_t any_decode_ps = 0;
    SimDuration time(const EngineIteration& it) { return own_time(it.slowest, it.prompts); }
    SimDuration own_time(const Iteration& it, bool) {
        return {base_ps + prefill_ps * it.prefill_tokens + decode_ps * it.decode_sequences +
                context_ps * it.decode_context + (it.decode_sequences > 0 ? any_decode_ps : 0)};
    }
};
// A function of the slowest group, and the iterations and groups it was asked for.
struct TableTimer {
    std::function<std::int64_t(const Iteration&)> milliseconds;
    std::vector<Iteration> asked = {};
    std::vector<EngineIteration> engines = {};
    SimDuration time(const EngineIteration& it) {
        asked.push_back(it.slowest);
        engines.push_back(it);
        return {milliseconds(it.slowest) * kMillisecond};
    }
    SimDuration own_time(const Iteration& it, bool) { return {milliseconds(it) * kMillisecond}; }
};

inline Request make_request(std::int64_t at_ms, std::int64_t prompt, std::int64_t output) {
    Request request;
    request.arrival = SimTime{at_ms * kMillisecond};
    request.prompt_tokens = prompt;
    request.output_tokens = output;
    return request;
}

inline RequestStream stream_of(std::vector<Request> requests) {
    RequestStream stream;
    stream.next = [requests, i = std::size_t{0}]() mutable -> std::optional<Request> {
        if (i == requests.size()) return std::nullopt;
        return requests[i++];
    };
    return stream;
}

// One engine with one attention group, plenty of memory, whole prompts before decode.
template <class Timer>
ClusterSpec one_engine(Timer& timer) {
    PoolSpec pool;
    pool.name = "engines";
    pool.group.policy.mix = BatchMix::apart;
    pool.group.policy.first = BatchFirst::prefill;
    pool.group.policy.chunk_tokens = 0;
    pool.group.kv = {.pages = 100'000, .page_tokens = 16};
    pool.timer = AnyTimer(timer);
    ClusterSpec spec;
    spec.pools = {pool};
    spec.check = true;
    return spec;
}

}  // namespace orrery
