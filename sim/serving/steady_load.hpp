#pragma once
// A deployment at a steady load: every attention group that decodes always holds B sequences, and a
// new request takes the place of each that ends. No queue, no arrivals: what throughput against
// interactivity is drawn of.
//
//   of the mean request    p prompt tokens to compute, o output tokens, s decode steps behind the
//                          first token, c tokens of context a step
//   in a step of a group   B / s requests end, and so many prompts come in, independently: it meets
//                          any with f = 1 - exp(-B / s), then of p B / (s f) tokens (of chunks,
//                          where prompts are longer than the budget leaves room for)
//   step time t            decode pool                 t(B)
//                          mixed, together             (1 - F) t(B) + F t(B, prompts),
//                                                      F = 1 - (1 - f)^G for an engine's G groups
//                          mixed, apart                (1 + f) ((1 - F) t(B) + F t(prompts)),
//                                                      F = 1 - (1 - f / (1 + f))^G; t(B) +
//                                                      f t(prompts) with one group
//   a user                 (o - 1) / s tokens every t: interactivity = 1 / TPOT
//   a group                B / (s t) requests/s, o tokens each
//   GPUs                   of the pool that decodes and, where prompts have a pool of their own, as
//                          many of that (a fraction of an engine too) as compute B p / s every t,
//                          in full batches
//
// CPU time between iterations is in t. Left out: spread of lengths and contexts, so the longest of
// an engine's groups is their mean; queues; preemption; hand-over of KV; the caches find what an
// unlimited cache would.

#include <optional>

#include "serving/offered_work.hpp"

namespace orrery {

struct MeanRequest {
    double fresh = 0;        // p
    double fresh_pairs = 0;  // keys that those attend to
    double output = 1;       // o
    double steps = 0;        // s
    double context = 0;      // c
    std::int64_t requests = 0;
};
// Of those that fit into the deployment's KV caches; a closed loop's first request of each user.
MeanRequest mean_request(const ClusterSpec& spec, const std::function<RequestStream()>& open);

// The pools a steady load is worked out for: one that decodes and, apart from it, one for prompts.
struct SteadyPools {
    std::size_t decode = 0;
    std::optional<std::size_t> prompts = {};
};
// nullopt where several pools share a kind of work.
std::optional<SteadyPools> steady_pools(const ClusterSpec& spec);

struct SteadyPoint {
    std::int64_t batch = 0;  // B, sequences of an attention group
    double step = 0;         // t, s
    double user_rate = 0;    // output tokens/s of a user
    double rate = 0;         // output tokens/s of an engine that decodes
    double gpus = 0;         // of that engine, and of the prompts' engines it keeps busy
    double prompt_gpus = 0;  // of them in a pool of their own
    double per_gpu() const { return rate / gpus; }
};

// Most sequences that the policy and the KV cache allow a group at this load; 0: none.
std::int64_t most_sequences(const PoolSpec& pool, const MeanRequest& mean);
// nullopt where prompts come faster than the token budget lets them in.
std::optional<SteadyPoint> steady_load(const ClusterSpec& spec, const SteadyPools& pools,
                                       const MeanRequest& mean, std::int64_t batch);

}  // namespace orrery
