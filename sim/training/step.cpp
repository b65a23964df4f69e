#include "training/step.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/accounting.hpp"
#include "training/job.hpp"
#include "training/timeline.hpp"

namespace orrery {
namespace {

constexpr double kSecondsPerDay = 86400.0;

PipelineSchedule make_plan_schedule(const TrainingSpec& spec) {
    const auto narrow = [](std::int64_t n) { return static_cast<int>(n); };
    const int chunks = spec.plan.virtual_stages > 1 ? narrow(spec.plan.virtual_stages) : 0;
    return make_schedule(spec.plan.schedule,
                         {narrow(spec.plan.pp), narrow(spec.micro_batches()), chunks});
}

StepParts parts_of(const RankTimes& t, std::int64_t makespan_ps) {
    const auto at = [](const auto& array, ActionClass c) {
        return array[static_cast<std::size_t>(c)];
    };
    const auto seconds = [](std::int64_t ps) { return to_seconds(SimDuration{ps}); };
    StepParts parts;
    // Waiting for the slowest rank before the optimizer's collectives is bubble, not optimizer.
    const std::int64_t optimizer =
        at(t.ps, ActionClass::optimizer) - at(t.barrier_ps, ActionClass::optimizer);
    std::int64_t busy = optimizer;
    std::int64_t barrier = 0;
    for (int c = 0; c < static_cast<int>(ActionClass::optimizer); ++c) {
        busy += t.ps[static_cast<std::size_t>(c)];
        barrier += t.barrier_ps[static_cast<std::size_t>(c)];
    }
    parts.forward = seconds(at(t.ps, ActionClass::forward));
    parts.backward = seconds(at(t.ps, ActionClass::backward));
    parts.backward_weight = seconds(at(t.ps, ActionClass::backward_weight));
    parts.forward_backward = seconds(at(t.ps, ActionClass::forward_backward));
    parts.optimizer = seconds(optimizer);
    parts.bubble = seconds(makespan_ps - busy);
    parts.barrier = seconds(barrier);
    parts.forwards = at(t.count, ActionClass::forward);
    parts.backwards = at(t.count, ActionClass::backward);
    parts.backward_weights = at(t.count, ActionClass::backward_weight);
    parts.forward_backwards = at(t.count, ActionClass::forward_backward);
    return parts;
}

void add_throughput(const TrainingSpec& spec, TrainingResult& result) {
    const double tokens =
        static_cast<double>(spec.sequences) * static_cast<double>(spec.sequence_length);
    const double step = result.step_time.value();
    const auto ranks = static_cast<double>(spec.plan.ranks());
    result.tokens_per_step = tokens;
    result.tokens_per_day = tokens * kSecondsPerDay / step;
    const FlopsPerToken flops = flops_per_token(spec.model, spec.sequence_length);
    const double peak = spec.accelerator.peak_bf16.value.value() * ranks * step;
    result.mfu_causal = flops.training * tokens / peak;
    result.mfu_non_causal = flops.training_non_causal * tokens / peak;
    result.gpu_hours = spec.tokens / result.tokens_per_day * 24.0 * ranks;
    result.cost = Dollars(result.gpu_hours * spec.cluster.price_per_gpu_hour.value.value());
}

}  // namespace

PipelineSchedule training_schedule(const TrainingSpec& spec) {
    PipelineSchedule schedule = spec.own_schedule ? *spec.own_schedule : make_plan_schedule(spec);
    const auto must_be = [&](const char* what, std::int64_t has, std::int64_t needs,
                             const char* from) {
        if (has == needs) return;
        throw InputError(fmt::format("schedule {}: {} {}: must be {}, as {} gives", schedule.name,
                                     has, what, needs, from));
    };
    must_be("pipeline ranks", schedule.ranks, spec.plan.pp, "plan.pp");
    must_be("stages", schedule.stages, static_cast<std::int64_t>(spec.plan.stages.size()),
            "plan.pp x plan.virtual_stages");
    must_be("micro-batches", schedule.micro_batches, spec.micro_batches(),
            "train.sequences / (plan.dp x plan.micro_batch_size)");
    return schedule;
}

TrainingResult simulate_training(const TrainingSpec& spec, const TrainingOptions& options) {
    const PipelineSchedule schedule = training_schedule(spec);
    const OperatorTimeModel compute(spec.accelerator);
    const CommunicationCost communication(spec.cluster);
    const PlacementShape shape = placement_shape(spec, schedule.directions() > 1);
    const RoutedExperts experts(spec, shape);
    Pricing pricing(compute, communication, shape, spec.conditions(), spec.communication_sms,
                    &experts);
    if (spec.network.shared_links) pricing.share_links();
    JobBuilder job(spec, schedule, pricing);
    const ReplayInput& input = job.build();
    pricing.check_all_priced();

    ReplayOptions replay_options;
    replay_options.fold = spec.fold;
    replay_options.reverse_ties = options.reverse_ties;
    replay_options.poll = options.poll;
    replay_options.trace.ranks = options.trace_ranks;
    const ReplayResult replayed = replay(input, replay_options);

    TrainingResult result;
    result.step_time = to_seconds(SimDuration{replayed.makespan_ps});
    for (std::uint32_t r = 0; r < static_cast<std::uint32_t>(schedule.ranks); ++r) {
        result.by_pipeline_rank.push_back(
            parts_of(replayed.of_rank(r * input.lanes), replayed.makespan_ps));
    }
    result.parts = result.by_pipeline_rank.front();
    result.timeline =
        make_timeline(replayed.traces, input, job.pieces(), options.trace_all_micro_batches);
    result.chunk_pair = traced_chunk_pair(spec, compute, communication);
    result.memory = memory_peak(spec, schedule);
    result.weakest = pricing.weakest_origin();
    result.sources = pricing.sources();
    result.missing_shapes = pricing.missing_shapes();
    result.events = replayed.events;
    result.segments = replayed.segments;
    result.operators = replayed.operators;
    result.ranks = static_cast<std::int64_t>(input.ranks.size());
    result.ranks_simulated = static_cast<std::int64_t>(replayed.classes.size());
    result.fingerprint = replayed.fingerprint;
    result.row_spread = experts.row_spread();
    result.mean_nodes = experts.mean_nodes();
    add_throughput(spec, result);
    return result;
}

}  // namespace orrery
