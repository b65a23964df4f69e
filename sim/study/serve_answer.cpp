#include "study/serve_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/cluster_profile.hpp"
#include "model/accounting.hpp"
#include "model/read_config.hpp"

namespace orrery {

namespace {

constexpr double kRuntime = 2e9;
constexpr std::int64_t kMostNodes = 64, kIteration = 2048;
constexpr std::int64_t kLongestContext = 1'000'000'000;

InferencePlan plan_on(const ModelSpec& model, Precision precision, std::int64_t per_node,
                      std::int64_t nodes, std::int64_t bits) {
    InferencePlan plan;
    plan.tp = per_node;
    plan.pp = nodes;
    plan.precision = precision;
    plan.key_value_bits = bits;
    // Whole experts on each GPU where they go round, else parts of every one.
    for (const LayerSpec& layer : model.layers) {
        if (layer.moe && layer.moe->experts % per_node == 0) plan.ep = per_node;
    }
    return plan;
}

// Tokens of KV cache that fit on so many nodes; negative: weights do not.
double room(const ModelSpec& model, const InferencePlan& plan, Bytes memory) {
    double held = kRuntime;
    InferenceLimits limits;
    limits.prefill_tokens = kIteration;
    limits.decode_tokens = 1;
    for (const MemoryItem& item : inference_memory(model, plan, limits)) {
        held += item.bytes.value();
    }
    return (memory.value() - held) / kv_bytes_on_rank(model, plan, false);
}

}  // namespace

std::int64_t least_nodes(const ModelSpec& model, Precision precision, Bytes memory,
                         std::int64_t per_node, std::int64_t context, std::int64_t most) {
    const auto layers = static_cast<std::int64_t>(model.layers.size());
    for (std::int64_t nodes = 1; nodes <= std::min(most, layers); ++nodes) {
        const InferencePlan plan = plan_on(model, precision, per_node, nodes, 16);
        if (room(model, plan, memory) >= static_cast<double>(context)) return nodes;
    }
    return 0;
}

ServeAnswer answer_serve(const std::filesystem::path& config, const std::string& cluster_name,
                         const std::filesystem::path& profiles, std::int64_t context) {
    if (context < 1 || context > kLongestContext) {
        throw InputError(
            fmt::format("--context {}: must be from 1 to {} tokens", context, kLongestContext));
    }
    const ModelSpec model = load_model(config);
    const ClusterProfile cluster = load_cluster(cluster_name, profiles);
    const AcceleratorProfile accelerator = load_accelerator(cluster.accelerator, profiles);
    ServeAnswer answer;
    answer.model = model.name;
    answer.accelerator = accelerator.title;
    answer.memory = accelerator.memory.value;
    answer.gpus_per_node = static_cast<std::int64_t>(cluster.gpus_per_node.value.value());
    answer.context = context;
    answer.kv_bf16 = static_cast<double>(kv_bytes_per_token(model, 2));
    answer.kv_fp8 = static_cast<double>(kv_bytes_per_token(model, 1));
    for (const Precision p :
         {Precision::bf16, Precision::fp8_block, Precision::int8_weight, Precision::int4_weight}) {
        ServeRow row;
        row.precision = to_string(p);
        row.weights = inference_weights(model, p, false);
        row.nodes = least_nodes(model, p, answer.memory, answer.gpus_per_node, context, kMostNodes);
        if (row.nodes > 0) {
            const auto tokens = [&](std::int64_t bits) {
                return static_cast<std::int64_t>(
                    room(model, plan_on(model, p, answer.gpus_per_node, row.nodes, bits),
                         answer.memory));
            };
            row.tokens_bf16 = tokens(16);
            row.tokens_fp8 = tokens(8);
        }
        answer.rows.push_back(row);
    }
    return answer;
}

}  // namespace orrery
