#pragma once
// What a deployment is made of: pools of engines on a cluster, what each GPU of them holds, and how
// many tokens of KV cache that leaves.
//
//   KV capacity of an attention group = floor((memory - weights - activations - buffers - runtime)
//                                             / bytes of a token's KV on a GPU)

#include <cstdint>
#include <string>
#include <vector>

#include "model/inference_memory.hpp"
#include "serving/engine_spec.hpp"

namespace orrery {

// mixed engines do both; prefill engines hand sequences over after their first token.
enum class EngineRole : std::uint8_t { mixed, prefill, decode };
std::string_view to_string(EngineRole role);

struct DeployedPool {
    std::string name;  // "prefill"
    EngineRole role = EngineRole::mixed;
    std::int64_t engines = 1;
    EngineSpec engine;
    // Most of an attention group in one iteration: new tokens of prompts; sequences that decode.
    std::int64_t prefill_tokens = 0, decode_sequences = 0;
    std::vector<MemoryItem> memory;       // of a GPU, without the KV cache
    double kv_bytes_per_token = 0;        // of a GPU
    std::int64_t kv_capacity_tokens = 0;  // of an attention group

    std::int64_t gpus_per_engine() const { return engine.plan.ranks(); }
    std::int64_t gpus() const { return engines * gpus_per_engine(); }
    Bytes held() const;  // sum of memory
};

struct Deployment {
    std::vector<DeployedPool> pools;
    std::int64_t gpus() const;
    double nodes(const ClusterProfile& cluster) const;  // gpus over GPUs a node
    const DeployedPool* find(EngineRole role) const;    // the first of a role; nullptr: none
};

// Fills memory, bytes a token and capacity of a pool. `runtime`: device memory taken before the
// first tensor. Throws InputError naming `where` and what is too large where no KV cache fits.
void size_pool(DeployedPool& pool, const Sourced<Bytes>& runtime, const std::string& where);

}  // namespace orrery
