#include "training/chunk_pair.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "replay/replay.hpp"
#include "training/chunk_writer.hpp"
#include "training/job.hpp"

namespace orrery {
namespace {

using Interval = std::pair<std::int64_t, std::int64_t>;

std::int64_t total(const std::vector<Interval>& intervals) {
    std::int64_t sum = 0;
    for (const auto& [start, end] : intervals) sum += end - start;
    return sum;
}

// Length of the parts of `a` that no interval of `b` covers; both sorted and without overlaps.
std::int64_t uncovered(const std::vector<Interval>& a, const std::vector<Interval>& b) {
    std::int64_t sum = total(a);
    for (const auto& [start, end] : a) {
        for (const auto& [s, e] : b)
            sum -= std::max<std::int64_t>(0, std::min(end, e) - std::max(start, s));
    }
    return sum;
}

// "layer 12 B mlp" -> "B mlp": the same phase of all layers adds up.
std::string phase_of(const std::string& label) {
    const std::size_t phase = label.rfind(' ');
    const std::size_t pass = label.rfind(' ', phase - 1);
    return fmt::format("{} {}", label.substr(phase + 1), label.substr(pass + 1, phase - pass - 1));
}

// The first four MoE layers as a stage; none where the model has no MoE layer.
StageLayout traced_layers(const ModelSpec& model) {
    constexpr std::size_t kLayers = 4;
    StageLayout stage;
    for (std::size_t i = 0; i < model.layers.size() && stage.layers.size() < kLayers; ++i) {
        if (model.layers[i].moe) stage.layers.push_back(static_cast<std::int32_t>(i));
    }
    return stage;
}

// One action on one rank, alone in every group.
void write_pair(ReplayInput& input, PieceFactory& pieces) {
    const PricedStage& stage = pieces.stage(0, ChunkKind::overlapped);
    RankProgram program;
    program.actions.push_back({ActionClass::forward_backward, "F & B", 0, 0});
    ChunkWriter(program).overlapped(stage, stage);
    input.programs.push_back(std::move(program));
    input.ranks.resize(1);
    input.group_count.fill(1);
}

}  // namespace

ChunkPair traced_chunk_pair(const TrainingSpec& spec, const OperatorTimeModel& compute,
                            const CommunicationCost& communication) {
    TrainingSpec traced = spec;
    traced.routing.kind = RoutingKind::balanced;
    traced.plan.stages = {traced_layers(spec.model)};
    traced.routed_rows_factor = 1.0;
    if (traced.plan.stages.front().layers.empty()) return {};
    const PlacementShape shape = placement_shape(spec, false);
    const RoutedExperts experts(traced, shape);
    Pricing pricing(compute, communication, shape, spec.conditions(), spec.communication_sms,
                    &experts);
    ReplayInput input;
    PieceFactory pieces(traced, pricing, input);
    write_pair(input, pieces);
    pricing.check_all_priced();
    ReplayOptions options;
    options.trace.ranks = {0};
    const ReplayResult result = replay(input, options);
    const RankTrace& trace = result.traces.front();
    const RankProgram& program = input.programs.front();

    std::map<std::pair<std::string, std::string>, PairShare> shares;
    std::vector<Interval> computing, moving;
    const auto add = [&](const Instruction& instruction, const std::string& operator_class,
                         std::int64_t ps) {
        const std::string phase = phase_of(input.labels[instruction.label]);
        PairShare& share = shares[{phase, operator_class}];
        share.phase = phase;
        share.operator_class = operator_class;
        share.time += to_seconds(SimDuration{ps});
        ++share.operators;
    };
    for (const TraceRecord& record : trace.records) {
        const Instruction& instruction = program.stream(record.stream)[record.instruction];
        const Interval interval{record.start_ps, record.end_ps};
        (record.stream == Stream::compute ? computing : moving).push_back(interval);
        if (instruction.kind == InstructionKind::collective) {
            add(instruction, input.collectives[instruction.index].name,
                record.end_ps - record.start_ps);
        }
    }
    for (const OperatorSpan& span : operator_spans(trace, input)) {
        const TraceRecord& record = trace.records[span.record];
        const Instruction& instruction = program.stream(record.stream)[record.instruction];
        const OperatorLabel& op = pieces.operators(instruction.index)[span.operation];
        add(instruction, std::string(to_string(op.operator_class)), span.end_ps - span.start_ps);
    }
    ChunkPair pair;
    pair.time = to_seconds(SimDuration{result.makespan_ps});
    pair.compute_busy = to_seconds(SimDuration{total(computing)});
    pair.communication_busy = to_seconds(SimDuration{total(moving)});
    pair.exposed_communication = to_seconds(SimDuration{uncovered(moving, computing)});
    pair.weakest = pricing.weakest_origin();
    for (auto& [key, share] : shares) pair.shares.push_back(std::move(share));
    return pair;
}

}  // namespace orrery
