// A scenario of kind "iteration" to its RunResult.
#include <chrono>

#include <fmt/format.h>

#include "study/iteration_scenario.hpp"
#include "study/metrics.hpp"
#include "study/run_kinds.hpp"

namespace orrery {
namespace {

// Half of the iteration where it runs as two micro-batches.
struct Layer {
    MoeLayerTimes times;
    int batches = 1;
};

void add_rates(RunResult& result, const IterationScenario& s, double seconds, Origin origin) {
    const DeployedPool& pool = s.deployment.pools[s.pool];
    const InferencePlan& plan = pool.engine.plan;
    // With several stages pp batches are under way at once.
    const double steps = static_cast<double>(plan.dp * plan.pp) / seconds;
    const double gpus = static_cast<double>(plan.ranks());
    const double per_node = s.cluster.gpus_per_node.value.value();
    const auto add = [&](const char* gpu, const char* node, double tokens) {
        if (tokens == 0) return;
        result.metrics.push_back(make_metric(gpu, tokens * steps / gpus, origin));
        if (gpus < per_node) return;  // no node is full
        result.metrics.push_back(make_metric(node, tokens * steps / gpus * per_node, origin));
    };
    add("input_throughput_per_gpu", "input_throughput_per_node",
        static_cast<double>(s.iteration.prefill_tokens));
    add("output_throughput_per_gpu", "output_throughput_per_node",
        static_cast<double>(s.iteration.decode_sequences) * s.accepted_tokens.value.value());
}

void add_layer(RunResult& result, const Layer& layer) {
    const MoeLayerTimes& t = layer.times;
    ResultTable table{
        "moe_layer",
        layer.batches == 2 ? "One MoE layer of one micro-batch" : "One MoE layer",
        {{"phase", ""}, {"alone", "s"}, {"beside dispatch", "s"}, {"beside combine", "s"}},
        {}};
    const auto row = [&](const char* name, const PhaseTime& p) {
        table.rows.push_back({std::string(name), p.seconds[0], p.seconds[1], p.seconds[2]});
    };
    row("norm, projections", t.in);
    row("core attention", t.core);
    row("output projection, router", t.out);
    row("shared expert", t.shared);
    row("routed experts", t.experts);
    const auto flight = [&](const char* name, double seconds) {
        table.rows.push_back({std::string(name), seconds, std::monostate{}, std::monostate{}});
    };
    flight("dispatch in flight", t.dispatch);
    flight("combine in flight", t.combine);
    if (t.low_latency) flight("each of four kernels that send or receive", t.send);
    result.breakdown.push_back(std::move(table));
}

void add_parts(RunResult& result, const IterationParts& parts) {
    ResultTable table{"iteration", "The iteration", {{"part", ""}, {"time", "s"}}, {}};
    const auto row = [&](const char* name, double seconds) {
        if (seconds > 0) table.rows.push_back({std::string(name), seconds});
    };
    row("layers", parts.layers);
    row("output head and sampling", parts.head);
    row("MTP module", parts.mtp);
    row("embedding, messages between stages", parts.other);
    row("whole, one batch", parts.single);
    row("whole, two micro-batches", parts.two_batch);
    result.breakdown.push_back(std::move(table));
}

void add_memory(RunResult& result, const DeployedPool& pool) {
    ResultTable table{"memory", "What a GPU holds", {{"what", ""}, {"size", "B"}}, {}};
    for (const MemoryItem& item : pool.memory) {
        table.rows.push_back({item.name, item.bytes.value()});
    }
    result.breakdown.push_back(std::move(table));
}

// Pages of the sequences' KV, beside what there is room for.
void note_capacity(RunResult& result, const IterationScenario& s) {
    const DeployedPool& pool = s.deployment.pools[s.pool];
    const std::int64_t tokens =
        s.iteration.decode_context + s.iteration.prefill_tokens + s.iteration.prefill_context;
    if (tokens <= pool.kv_capacity_tokens) return;
    result.notes.push_back(
        fmt::format("{} tokens of KV are in use, an attention group has room for {}.", tokens,
                    pool.kv_capacity_tokens));
}

}  // namespace

RunOutcome run_iteration(const Scenario& scenario, const RunRequest& request) {
    const IterationScenario s = read_iteration_scenario(scenario, request.profiles);
    const auto start = std::chrono::steady_clock::now();
    const DeployedPool& pool = s.deployment.pools[s.pool];
    IterationTime engine(pool.engine);
    IterationParts parts = engine.parts(s.iteration);
    const double seconds = parts.total;
    double gain = 0;
    if (parts.overlapped && parts.single == 0) {
        EngineSpec both = pool.engine;
        both.overlap = Overlap::automatic;
        parts.single = IterationTime(std::move(both)).parts(s.iteration).single;
    }
    if (parts.single > 0 && parts.two_batch > 0) gain = parts.single / parts.two_batch - 1;
    const Layer layer{engine.moe_layer(s.iteration, parts.overlapped), parts.overlapped ? 2 : 1};
    const Origin origin = weakest(engine.weakest_origin(), pool.engine.graph_gap.from.origin);

    RunOutcome outcome;
    RunResult& result = outcome.result;
    result.scenario = scenario.name;
    result.kind = scenario.kind;
    result.given = result.used = scenario.given;
    const auto add = [&](const char* name, double value) {
        result.metrics.push_back(make_metric(name, value, origin));
    };
    const bool experts = layer.times.in.alone() > 0;
    const std::size_t beside = parts.overlapped && !layer.times.low_latency ? 1 : 0;
    add("iteration_time", seconds);
    if (gain != 0) add("two_batch_gain", gain);
    if (parts.overlapped) add("half_layer_time", engine.half_layer(s.iteration));
    add("core_attention_time", engine.core_kernel(s.iteration, parts.overlapped, beside));
    add_rates(
        result, s, seconds,
        s.iteration.decode_tokens > 0 ? weakest(origin, s.accepted_tokens.from.origin) : origin);
    if (layer.times.dispatch > 0) {
        add("dispatch_time", layer.times.dispatch);
        add("combine_time", layer.times.combine);
    }
    add("group_kv_tokens", static_cast<double>(pool.kv_capacity_tokens));
    result.published = scenario.published;
    result.changed = scenario.changed;
    add_parts(result, parts);
    if (experts) add_layer(result, layer);
    add_memory(result, pool);
    note_capacity(result, s);
    result.sources = engine.sources();
    result.sources.push_back({"gap between kernels of a CUDA graph",
                              to_text(pool.engine.graph_gap.value), pool.engine.graph_gap.from});
    if (s.iteration.decode_tokens > 0) {
        result.sources.push_back({"tokens accepted a step",
                                  fmt::format("{}", s.accepted_tokens.value.value()),
                                  s.accepted_tokens.from});
    }
    result.ranks = pool.engine.plan.ranks();
    result.ranks_simulated = 1;
    result.wall_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.inputs = {
        {scenario.file.string(), ""}, {s.model_file.string(), ""}, {request.profiles.string(), ""}};
    return outcome;
}

}  // namespace orrery
