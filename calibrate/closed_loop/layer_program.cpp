#include "calibrate/closed_loop/layer_program.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/lowering.hpp"
#include "training/chunk_writer.hpp"

namespace orrery::closed_loop {
namespace {

// The plan of arXiv:2412.19437 section 3.2; stages do not matter here.
ParallelPlan layer_plan() {
    ParallelPlan plan;
    plan.pp = 16;
    plan.dp = 128;
    plan.ep = 64;
    plan.schedule = "dualpipe";
    plan.precision = Precision::fp8_block;
    plan.recompute = {.norm = true, .mla_up_projection = true, .swiglu = true};
    return plan;
}

const LayerSpec& moe_layer(const ModelSpec& model) {
    for (const LayerSpec& layer : model.layers) {
        if (layer.moe) return layer;
    }
    throw InputError(fmt::format("{}: has no MoE layer", model.name));
}

// Phases as the writer takes them, their operators kept in the program's lists.
class PhaseList {
  public:
    PhaseList(LayerProgram& into, const ModelSpec& model) : into_(into), model_(model) {}

    std::vector<PricedPhase> of(Pass pass, const char* name, bool with_communication) {
        std::vector<PricedPhase> result;
        for (const Phase& phase :
             lower_layer(model_, moe_layer(model_), layer_plan(), pass, BatchShape{})) {
            PricedPhase priced;
            priced.kind = phase.kind;
            priced.communicates = phase.communicates() && with_communication;
            priced.label = static_cast<std::uint32_t>(into_.labels.size());
            into_.labels.push_back(fmt::format("{} {}", phase_name(phase.kind), name));
            std::vector<Operator> compute;
            for (const Operator& op : phase.operators) {
                if (class_of(op) != OperatorClass::communication) {
                    compute.push_back(op);
                } else if (with_communication) {
                    priced.has_collective = true;
                    priced.collective = static_cast<std::uint32_t>(into_.collectives.size());
                    into_.collectives.push_back(op);
                }
            }
            if (!compute.empty()) {
                priced.has_segment = true;
                priced.segment = static_cast<SegmentId>(into_.segments.size());
                into_.segments.push_back(std::move(compute));
            }
            result.push_back(priced);
        }
        return result;
    }

  private:
    static const char* phase_name(PhaseKind kind) {
        switch (kind) {
            case PhaseKind::attention:
                return "attention";
            case PhaseKind::dispatch:
                return "dispatch";
            case PhaseKind::mlp:
                return "mlp";
            default:
                return "combine";
        }
    }
    LayerProgram& into_;
    const ModelSpec& model_;
};

}  // namespace

const char* to_string(LoopRun run) {
    switch (run) {
        case LoopRun::forward:
            return "F";
        case LoopRun::backward_input:
            return "B";
        case LoopRun::backward_weight:
            return "W";
        default:
            return "F&B";
    }
}

LayerProgram layer_program(const ModelSpec& model, LoopRun run) {
    LayerProgram layer;
    layer.run = run;
    PhaseList phases(layer, model);
    ChunkWriter writer(layer.program);
    if (run == LoopRun::pair) {
        const PricedStage stage = {{true, phases.of(Pass::forward, "F", true),
                                    phases.of(Pass::backward_input, "B", true),
                                    phases.of(Pass::backward_weight, "W", true)}};
        writer.overlapped(stage, stage);
    } else {
        const Pass pass = run == LoopRun::forward          ? Pass::forward
                          : run == LoopRun::backward_input ? Pass::backward_input
                                                           : Pass::backward_weight;
        writer.sequence(phases.of(pass, to_string(run), false));
    }
    layer.program.actions.push_back({ActionClass::forward_backward, to_string(run), 0, 0});
    return layer;
}

PlacementShape layer_placement() {
    const ParallelPlan plan = layer_plan();
    return {.pp = plan.pp,
            .dp = plan.dp,
            .cp = 1,
            .tp = 1,
            .ep = plan.ep,
            .mirrored = true,
            .gpus_per_node = 8};
}

ReplayInput priced(const LayerProgram& program, const OperatorTimeModel& compute,
                   const CommunicationCost& communication, Clock clock) {
    Pricing pricing(compute, communication, layer_placement(), {0, clock}, kCommunicationSms);
    ReplayInput input;
    for (const Operator& op : program.collectives) {
        input.collectives.push_back(pricing.collective(op));
    }
    input.segments = SegmentTable(pricing.environments());
    for (const auto& operators : program.segments) {
        std::vector<OperatorDurations> durations;
        for (const Operator& op : operators) {
            durations.push_back(pricing.durations(op, program.chunk()));
        }
        input.segments.add(durations);
    }
    input.labels = program.labels;
    input.programs.push_back(program.program);
    input.ranks.resize(1);
    input.group_count.fill(1);
    return input;
}

CommunicationTask communication_task(const Operator& op, const CommunicationCost& communication) {
    const auto& shape = std::get<Communication>(op.shape);
    const CommunicationEstimate estimate =
        communication.time(shape, group_placement(layer_placement(), shape.group));
    return {estimate.time, estimate.memory_traffic};
}

}  // namespace orrery::closed_loop
