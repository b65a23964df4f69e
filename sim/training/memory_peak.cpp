#include "training/memory_peak.hpp"

#include <algorithm>

#include "training/job.hpp"

namespace orrery {
namespace {

struct ActivationPeak {
    Bytes bytes;
    std::int64_t chunks = 0;
};
// What one micro-batch of a stage holds before its backward, and between a split backward's two
// passes.
struct StageBytes {
    Bytes activations, weight_gradient_operands;
};

// Walks a rank's actions in order: a chunk's activations are held from its forward to its backward;
// between an input-gradient pass and its weight gradient, the operands of the latter are.
ActivationPeak activation_peak(const std::vector<Action>& actions,
                               const std::vector<StageBytes>& stages) {
    ActivationPeak peak;
    Bytes held;
    std::int64_t chunks = 0;
    for (const Action& a : actions) {
        const StageBytes& backward = stages[static_cast<std::size_t>(a.backward_stage)];
        if (has_forward(a.kind)) {
            held += stages[static_cast<std::size_t>(a.stage)].activations;
            ++chunks;
        }
        if (held > peak.bytes) peak = {held, chunks};
        // A full backward runs its weight gradients layer by layer and keeps no operands.
        const bool input = has_backward_input(a.kind), weight = has_backward_weight(a.kind);
        if (input) held -= backward.activations;
        if (input && !weight) held += backward.weight_gradient_operands;
        if (weight && !input) held -= backward.weight_gradient_operands;
        if (weight) --chunks;
        if (held > peak.bytes) peak = {held, chunks};
    }
    return peak;
}

}  // namespace

MemoryPeak memory_peak(const TrainingSpec& spec, const PipelineSchedule& schedule) {
    std::vector<StageBytes> stage_bytes;
    for (const StageLayout& stage : spec.plan.stages) {
        stage_bytes.push_back(
            {stage_activations(spec.model, spec.plan, stage, spec.batch()),
             stage_weight_gradient_operands(spec.model, spec.plan, stage, spec.batch())});
    }
    MemoryPeak worst;
    worst.capacity = spec.accelerator.memory.value;
    for (int r = 0; r < schedule.ranks; ++r) {
        std::vector<StageLayout> held;
        for (const std::size_t s : held_stages(schedule, r)) held.push_back(spec.plan.stages[s]);
        std::vector<MemoryItem> items =
            static_memory(spec.model, spec.plan, held, stage_copies(schedule), spec.batch());
        const ActivationPeak activations =
            activation_peak(schedule.actions[static_cast<std::size_t>(r)], stage_bytes);
        items.push_back({"activations", activations.bytes});
        Bytes total;
        for (const MemoryItem& item : items) total += item.bytes;
        worst.by_pipeline_rank.push_back(total);
        if (r > 0 && total <= worst.total) continue;
        worst.pipeline_rank = r;
        worst.total = total;
        worst.items = std::move(items);
        worst.chunks_in_flight = static_cast<double>(activations.chunks);
    }
    return worst;
}

}  // namespace orrery
