#include "serving/deployment.hpp"

#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

std::string_view to_string(EngineRole role) {
    switch (role) {
        case EngineRole::mixed:
            return "mixed";
        case EngineRole::prefill:
            return "prefill";
        case EngineRole::decode:
            break;
    }
    return "decode";
}

Bytes DeployedPool::held() const {
    Bytes sum(0);
    for (const MemoryItem& item : memory) sum += item.bytes;
    return sum;
}

std::int64_t Deployment::gpus() const {
    std::int64_t sum = 0;
    for (const DeployedPool& pool : pools) sum += pool.gpus();
    return sum;
}

double Deployment::nodes(const ClusterProfile& cluster) const {
    return static_cast<double>(gpus()) / cluster.gpus_per_node.value.value();
}

const DeployedPool* Deployment::find(EngineRole role) const {
    for (const DeployedPool& pool : pools) {
        if (pool.role == role) return &pool;
    }
    return nullptr;
}

void size_pool(DeployedPool& pool, const Sourced<Bytes>& runtime, const std::string& where) {
    const EngineSpec& e = pool.engine;
    const bool drafts = e.draft_tokens > 0;
    std::int64_t slots = 0;
    for (const LayerSpec& layer : e.model.layers) {
        if (layer.moe) slots = layer.moe->experts + e.routing.redundant;
    }
    pool.memory = inference_memory(e.model, e.plan,
                                   {.prefill_tokens = pool.prefill_tokens,
                                    .decode_tokens = pool.decode_sequences * (1 + e.draft_tokens),
                                    .prompts = 1,
                                    .slots = slots,
                                    .drafts = drafts,
                                    .low_latency = e.low_latency_decode});
    if (runtime.value.value() > 0) pool.memory.push_back({"runtime", runtime.value, runtime.from});
    pool.kv_bytes_per_token = kv_bytes_on_rank(e.model, e.plan, drafts);
    const double all = e.accelerator.memory.value.value();
    const double free = all - pool.held().value();
    if (free < pool.kv_bytes_per_token) {
        std::string parts;
        for (const MemoryItem& item : pool.memory) {
            parts += fmt::format("{}{} {:.1f} GB", parts.empty() ? "" : ", ", item.name,
                                 item.bytes.value() / 1e9);
        }
        throw InputError(fmt::format(
            "{}: needs {:.1f} GB a GPU before any KV cache ({}), {} has {:.1f} GB: must fit on "
            "more GPUs, in fewer bits or with smaller iterations",
            where, pool.held().value() / 1e9, parts, e.accelerator.name, all / 1e9));
    }
    pool.kv_capacity_tokens = static_cast<std::int64_t>(free / pool.kv_bytes_per_token);
}

}  // namespace orrery
