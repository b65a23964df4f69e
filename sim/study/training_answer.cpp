#include "study/training_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "study/metrics.hpp"

namespace orrery {
namespace {

// The weakest of the hardware numbers and of the inputs that the scenario states.
Origin weakest_of(const TrainingScenario& training, const TrainingResult& simulated) {
    Origin origin = simulated.weakest;
    for (const SourceUsed& source : training.sources) origin = weakest(origin, source.from.origin);
    return origin;
}

void add_metrics(RunResult& result, const TrainingSpec& spec, const TrainingResult& simulated,
                 Origin time) {
    const StepParts& parts = simulated.parts;
    const auto add = [&](std::string_view name, double value, Origin origin) {
        result.metrics.push_back(make_metric(name, value, origin));
    };
    add("step_time", simulated.step_time.value(), time);
    if (simulated.chunk_pair.time.value() > 0) {
        add("chunk_pair_time", simulated.chunk_pair.time.value(), time);
    }
    add("time_1f", parts.forward.value(), time);
    add("time_1b", parts.backward.value(), time);
    add("time_1w", parts.backward_weight.value(), time);
    add("time_1f1b", parts.forward_backward.value(), time);
    add("time_bubble", parts.bubble.value(), time);
    add("time_optimizer", parts.optimizer.value(), time);
    add("tokens_per_day", simulated.tokens_per_day, time);
    const Origin peak = weakest(time, spec.accelerator.peak_bf16.from.origin);
    add("mfu_causal", simulated.mfu_causal, peak);
    add("mfu_non_causal", simulated.mfu_non_causal, peak);
    if (spec.tokens > 0) {
        add("gpu_hours", simulated.gpu_hours, time);
        add("cost", simulated.cost.value(),
            weakest(time, spec.cluster.price_per_gpu_hour.from.origin));
    }
    // Tensors are counted, by rules that are stated with the model; the framework's share is given.
    const Sourced<Bytes>& framework = spec.plan.framework_memory;
    const Origin memory = framework.value.value() > 0
                              ? weakest(Origin::derived, framework.from.origin)
                              : Origin::derived;
    add("peak_memory", simulated.memory.total.value(), memory);
    add("fits_memory", simulated.memory.fits() ? 1 : 0,
        weakest(memory, spec.accelerator.memory.from.origin));
    result.metrics.back().title = fmt::format("fits in {}", to_text(simulated.memory.capacity, 3));
}

void add_sources(RunResult& result, const TrainingScenario& training,
                 const TrainingResult& simulated) {
    result.sources = simulated.sources;
    for (const SourceUsed& source : training.sources) result.sources.push_back(source);
    const auto add = [&](const std::string& name, const auto& number) {
        result.sources.push_back({name, to_text(number.value), number.from});
    };
    add("BF16 peak, under MFU", training.spec.accelerator.peak_bf16);
    add("memory of a GPU", training.spec.accelerator.memory);
    if (training.spec.plan.framework_memory.value.value() > 0) {
        add("memory of CUDA, libraries and NCCL", training.spec.plan.framework_memory);
    }
    add("price of a GPU and hour", training.spec.cluster.price_per_gpu_hour);
}

// What counted tokens look like; empty where nothing is counted.
std::string routing_note(const TrainingSpec& spec, const TrainingResult& simulated) {
    if (simulated.mean_nodes == 0) return {};
    if (spec.routing.kind == RoutingKind::balanced) {
        return fmt::format(
            "Tokens are counted from balanced routing: every rank has the same rows, a token "
            "reaches {:.2f} nodes.",
            simulated.mean_nodes);
    }
    return fmt::format(
        "Tokens are counted from {} draws of the gate: rows of a rank spread by {:.1f} % (standard "
        "deviation), a token reaches {:.2f} nodes.",
        spec.routing.draws, 100 * simulated.row_spread, simulated.mean_nodes);
}

}  // namespace

RunResult training_answer(const Scenario& scenario, const TrainingScenario& training,
                          const TrainingResult& simulated) {
    const TrainingSpec& spec = training.spec;
    RunResult result;
    result.scenario = scenario.name;
    result.kind = scenario.kind;
    result.given = scenario.given;
    result.used = training.used;
    add_metrics(result, spec, simulated, weakest_of(training, simulated));
    result.published = scenario.published;
    result.changed = scenario.changed;
    result.breakdown = {setup_table(spec), per_rank_table(simulated), chunk_pair_table(simulated),
                        memory_table(simulated.memory), stages_table(spec)};
    std::erase_if(result.breakdown, [](const ResultTable& table) { return table.rows.empty(); });
    result.notes = training.notes;
    const std::string routing = routing_note(spec, simulated);
    if (!routing.empty()) result.notes.push_back(routing);
    const std::string overflow = overflow_note(simulated.memory);
    if (!overflow.empty()) result.notes.insert(result.notes.begin(), overflow);
    add_sources(result, training, simulated);
    result.missing_shapes = simulated.missing_shapes;
    result.events = simulated.events;
    result.operators = simulated.operators;
    result.ranks = simulated.ranks;
    result.ranks_simulated = simulated.ranks_simulated;
    result.fingerprint = simulated.fingerprint;
    return result;
}

}  // namespace orrery
