#pragma once
// Reads a scenario's "deployment" block:
//
//   precision        of linear layers: "bf16", "fp8_tensor", "fp8_block", "int8_weight",
//                    "int4_weight"; where missing the model's own (fp8_block or bf16)
//   kv_cache         "bf16" (where missing) or "fp8"
//   clock            "sustained" (where missing: engines run without a pause) or "burst"
//   gpu_pace         "slowest" (where missing): of the GPUs that meet in each layer, where the
//                    accelerator's profile knows how they differ; or "alike"
//   draft_tokens     tokens an MTP module drafts each step, 0 where missing
//   runtime_memory   device memory taken before the first tensor, 2 GB where missing
//   graph_gap        idle time between kernels of a CUDA graph
//   launch_time      CPU time of launching a kernel outside one
//   routing          {"kind": "drawn" (where missing) or "balanced", "skew", "sequence_skew",
//                    "seed", "layers"}
//   pools            a list; of each pool:
//     name, role            role "mixed" (where missing), "prefill" or "decode"
//     engines               1 where missing
//     nodes                 of an engine; or dp instead
//     tp, pp, dp, ep        1 where missing; dp: what nodes x GPUs a node leave; ep: all ranks of a
//                           stage where dp > 1 and the model has experts
//     redundant_experts     slots beyond the experts, 0 where missing
//     placement             "eplb" or "in_order" (where missing)
//     overlap               "none" (where missing), "two_batch", "automatic"
//     low_latency           true where missing: low-latency all-to-all and CUDA graphs for
//                           iterations without prompts
//     communication_sms     of the normal all-to-all, 24 where missing
//     prefill_tokens        most new tokens of an attention group in an iteration; where missing
//                           what the pool's policy takes, without one 8192 (0 for decode)
//     decode_sequences      most sequences of an attention group that decode; where missing what
//                           the pool's policy takes, without one 256 (0 for prefill)
//     precision, kv_cache, draft_tokens, clock, gpu_pace    instead of the deployment's
// Quantities may be plain or {"value", "origin", "source"}.

#include <functional>
#include <string>

#include "core/config.hpp"
#include "serving/deployment.hpp"

namespace orrery {

// Of an attention group in one iteration, where a pool does not say.
struct PoolLimits {
    std::int64_t prefill_tokens = 8192, decode_sequences = 256;
};
using LimitsOf = std::function<PoolLimits(const std::string& pool, const EngineSpec& engine)>;

// Throws InputError naming file, key, value and rule: unknown keys, degrees that do not divide, an
// engine wider than the cluster, weights that do not fit, ...
Deployment read_deployment(const ConfigNode& block, const ModelSpec& model,
                           const AcceleratorProfile& accelerator, const ClusterProfile& cluster,
                           const LimitsOf& limits = {});

// A number with its origin, plain or in full; `fallback` where the key is missing.
template <class Q>
Sourced<Q> read_sourced(const ConfigNode& block, const char* key, Sourced<Q> fallback) {
    const auto node = block.find(key);
    if (!node) return fallback;
    if (node->is_object()) return node->as_sourced<Q>();
    return {node->as_quantity<Q>(), {Origin::given, node->place()}};
}

// Idle time between dependent kernels of a CUDA graph, CPU time of a launch, and device memory
// taken by the runtime, where a deployment names none.
Sourced<Seconds> default_graph_gap();
Sourced<Seconds> default_launch_time();
Sourced<Bytes> default_runtime_memory();

}  // namespace orrery
