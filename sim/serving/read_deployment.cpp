#include "serving/read_deployment.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/plural.hpp"
#include "serving/check_engine.hpp"

namespace orrery {

namespace {

constexpr std::int64_t kMostRanks = 100'000;

template <class Enum, std::size_t N>
Enum one_of(const ConfigNode& node, const std::pair<const char*, Enum> (&values)[N]) {
    const std::string text = node.as_string();
    std::string known;
    for (std::size_t i = 0; i < N; ++i) {
        if (text == values[i].first) return values[i].second;
        known += fmt::format("{}{}", i == 0 ? "" : i + 1 == N ? " or " : ", ", values[i].first);
    }
    node.refuse(fmt::format("must be {}", known));
}

Precision model_precision(const ModelSpec& model) {
    return model.weight_format == "fp8_block" ? Precision::fp8_block : Precision::bf16;
}

std::int64_t count(const ConfigNode& block, const char* key, std::int64_t missing,
                   std::int64_t least, std::int64_t most = kMostRanks) {
    const auto node = block.find(key);
    return node ? node->as_integer(least, most) : missing;
}

bool has_experts(const ModelSpec& model) {
    return std::any_of(model.layers.begin(), model.layers.end(),
                       [](const LayerSpec& layer) { return layer.moe.has_value(); });
}

// Keys that the deployment states for all pools and a pool for itself.
void read_numbers(const ConfigNode& block, EngineSpec& engine) {
    if (const auto node = block.find("precision")) {
        engine.plan.precision = one_of<Precision>(*node, {{"bf16", Precision::bf16},
                                                          {"fp8_tensor", Precision::fp8_tensor},
                                                          {"fp8_block", Precision::fp8_block},
                                                          {"int8_weight", Precision::int8_weight},
                                                          {"int4_weight", Precision::int4_weight}});
    }
    if (const auto node = block.find("kv_cache")) {
        engine.plan.key_value_bits = one_of<std::int64_t>(*node, {{"bf16", 16}, {"fp8", 8}});
    }
    if (const auto node = block.find("clock")) {
        engine.clock =
            one_of<Clock>(*node, {{"sustained", Clock::sustained}, {"burst", Clock::burst}});
    }
    if (const auto node = block.find("gpu_pace")) {
        engine.slowest_pace = one_of<bool>(*node, {{"slowest", true}, {"alike", false}});
        const bool known = GpuPace(engine.accelerator).known();
        if (engine.slowest_pace && (!known || engine.clock == Clock::burst)) {
            node->fail(fmt::format("must be \"alike\": {}",
                                   known ? "the clock is not sustained"
                                         : "the accelerator's profile has no table pace"));
        }
    }
    engine.draft_tokens = count(block, "draft_tokens", engine.draft_tokens, 0, 16);
    if (engine.draft_tokens > 0 && !engine.model.mtp_layer) {
        block.at("draft_tokens").fail("must be 0: the model has no MTP module");
    }
}

double skew(const ConfigNode& block, const char* key) {
    const auto node = block.find(key);
    if (!node) return 0;
    const double value = node->as_number();
    if (!(value >= 0 && value <= 10)) node->refuse("must be from 0 to 10");
    return value;
}

void read_routing(const ConfigNode& block, ExpertRouting& routing) {
    if (const auto kind = block.find("kind")) {
        routing.kind = one_of<RoutingKind>(
            *kind, {{"drawn", RoutingKind::drawn}, {"balanced", RoutingKind::balanced}});
    }
    routing.affinity.skew = skew(block, "skew");
    routing.affinity.sequence_skew = skew(block, "sequence_skew");
    routing.affinity.seed =
        static_cast<std::uint64_t>(count(block, "seed", 1, 0, std::int64_t{1} << 53));
    routing.layers = count(block, "layers", routing.layers, 1, 64);
    block.reject_unknown_keys();
}

// dp from the nodes of an engine, or the other way round.
void read_degrees(const ConfigNode& block, EngineSpec& engine) {
    InferencePlan& plan = engine.plan;
    plan.tp = count(block, "tp", 1, 1);
    plan.pp = count(block, "pp", 1, 1);
    const auto nodes = block.find("nodes");
    if (nodes) {
        const std::int64_t gpus = nodes->as_integer(1, kMostRanks) * engine.gpus_per_node();
        const std::int64_t group = plan.tp * plan.pp;
        if (gpus % group != 0) {
            nodes->fail(
                fmt::format("gives {} GPUs, must be a multiple of tp x pp = {}", gpus, group));
        }
        plan.dp = count(block, "dp", gpus / group, 1);
        if (plan.ranks() != gpus) {
            block.at("dp").fail(
                fmt::format("must be {}: {} GPUs over tp x pp = {}", gpus / group, gpus, group));
        }
    } else {
        plan.dp = count(block, "dp", 1, 1);
    }
    const bool wide = plan.dp > 1 && has_experts(engine.model);
    plan.ep = count(block, "ep", wide ? plan.tp * plan.dp : 1, 1);
}

DeployedPool read_pool(const ConfigNode& block, const EngineSpec& common,
                       const Sourced<Bytes>& runtime, const LimitsOf& limits_of) {
    DeployedPool pool;
    pool.engine = common;
    EngineSpec& engine = pool.engine;
    pool.name = block.has("name") ? block.at("name").as_string() : "engines";
    if (const auto role = block.find("role")) {
        pool.role = one_of<EngineRole>(*role, {{"mixed", EngineRole::mixed},
                                               {"prefill", EngineRole::prefill},
                                               {"decode", EngineRole::decode}});
    }
    pool.engines = count(block, "engines", 1, 1);
    read_numbers(block, engine);
    read_degrees(block, engine);
    engine.routing.redundant = count(block, "redundant_experts", 0, 0);
    if (const auto node = block.find("placement")) {
        engine.routing.eplb = one_of<bool>(*node, {{"eplb", true}, {"in_order", false}});
    }
    if (const auto node = block.find("overlap")) {
        engine.overlap = one_of<Overlap>(*node, {{"none", Overlap::none},
                                                 {"two_batch", Overlap::two_batch},
                                                 {"automatic", Overlap::automatic}});
    }
    if (const auto node = block.find("low_latency")) engine.low_latency_decode = node->as_bool();
    engine.communication_sms = static_cast<std::int32_t>(
        count(block, "communication_sms", engine.communication_sms, 1, 64));
    const bool prompts = pool.role != EngineRole::decode,
               decodes = pool.role != EngineRole::prefill;
    const PoolLimits limits = limits_of ? limits_of(pool.name, engine) : PoolLimits{};
    pool.prefill_tokens = count(block, "prefill_tokens", prompts ? limits.prefill_tokens : 0,
                                prompts ? 1 : 0, 10'000'000);
    pool.decode_sequences = count(block, "decode_sequences", decodes ? limits.decode_sequences : 0,
                                  decodes ? 1 : 0, 1'000'000);
    check_engine(engine, block);
    size_pool(pool, runtime, block.place());
    return pool;
}

}  // namespace

Sourced<Seconds> default_graph_gap() {
    return {Seconds(0.5e-6),
            {Origin::published,
             "A. Gray, Getting Started with CUDA Graphs, NVIDIA developer blog, 2019: kernels of "
             "2.9 us take 3.4 us each in a graph (V100)"}};
}

Sourced<Seconds> default_launch_time() {
    return {Seconds(5e-6),
            {Origin::assumed,
             "CPU time of one kernel launched from Python; published around it, on an H100: an "
             "empty kernel every 2.1 us on a stream from C++ (Hazy Research, Look Ma, No Bubbles, "
             "2025-05-27), 4.7 us from the call to its start (arXiv:2603.12465)"}};
}

Sourced<Bytes> default_runtime_memory() {
    return {Bytes(2e9),
            {Origin::assumed,
             "CUDA context, CUDA graphs, library workspaces, NCCL channels and "
             "allocator slack; no published figure"}};
}

Deployment read_deployment(const ConfigNode& block, const ModelSpec& model,
                           const AcceleratorProfile& accelerator, const ClusterProfile& cluster,
                           const LimitsOf& limits) {
    EngineSpec common;
    common.model = model;
    common.accelerator = accelerator;
    common.cluster = cluster;
    common.plan.precision = model_precision(model);
    read_numbers(block, common);
    if (const auto node = block.find("routing")) read_routing(*node, common.routing);
    common.graph_gap =
        read_sourced(block, "graph_gap", accelerator.graph_gap.value_or(default_graph_gap()));
    common.launch_time = read_sourced(block, "launch_time", default_launch_time());
    const Sourced<Bytes> runtime = read_sourced(block, "runtime_memory", default_runtime_memory());
    Deployment deployment;
    for (const ConfigNode& element : block.at("pools").elements()) {
        deployment.pools.push_back(read_pool(element, common, runtime, limits));
        element.reject_unknown_keys();
        for (std::size_t i = 0; i + 1 < deployment.pools.size(); ++i) {
            if (deployment.pools[i].name == deployment.pools.back().name) {
                element.fail(
                    fmt::format("a pool \"{}\" must be named once", deployment.pools.back().name));
            }
        }
    }
    if (deployment.pools.empty()) block.at("pools").fail("must name at least one pool");
    const double nodes = cluster.nodes.value.value();
    if (deployment.nodes(cluster) > nodes) {
        block.at("pools").fail(fmt::format("take {} GPUs, must take at most the {} of {}",
                                           deployment.gpus(),
                                           nodes * cluster.gpus_per_node.value.value(),
                                           counted(static_cast<std::int64_t>(nodes), "node")));
    }
    block.reject_unknown_keys();
    return deployment;
}

}  // namespace orrery
