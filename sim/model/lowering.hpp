#pragma once
// One layer's work as operators: pure functions from (model, layer, plan, pass, tokens) to the
// kernels and communications a rank runs, in order. Which phases of which layers overlap is decided
// by the training step, not here.

#include <cstdint>
#include <optional>
#include <vector>

#include "hardware/operator.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"

namespace orrery {

enum class Pass : std::uint8_t {
    forward,
    backward_input,   // gradients of activations, with the recomputation it needs
    backward_weight,  // gradients of weights
};

// A phase is a run of operators on one stream: compute phases hold kernels, communication phases
// hold exactly one Communication (and the casts that its stream runs first, if any).
enum class PhaseKind : std::uint8_t {
    attention,  // norm, projections, core attention, output projection, residual; router in a MoE
                // layer
    dispatch,   // forward: tokens to experts. backward: input gradients back (a combine)
    mlp,        // experts and shared expert, or the dense MLP
    combine,    // forward: expert outputs back. backward: output gradients to experts (a dispatch)
    tensor_collective,  // all-reduce / all-gather / reduce-scatter of tensor or context parallelism
    embedding,
    head,  // final norm, output head, loss
    mtp_projection,
    optimizer,
};
struct Phase {
    PhaseKind kind = PhaseKind::attention;
    std::vector<Operator> operators;
    bool communicates() const {
        return kind == PhaseKind::dispatch || kind == PhaseKind::combine ||
               kind == PhaseKind::tensor_collective;
    }
};

// What routing brings a rank in one layer and micro-batch: rows of its experts, each expert's
// padded to 128, and tokens received, each once however many experts here it has.
struct RoutedRows {
    std::int64_t rows = 0, received = 0;
    constexpr auto operator<=>(const RoutedRows&) const = default;
};

// What a micro-batch looks like. sequence_length is the whole sequence: context parallelism gives
// a rank 1 / cp of it, sequence parallelism splits that further where tensors are not split by tp.
struct BatchShape {
    std::int64_t sequences = 1;
    std::int64_t sequence_length = 4096;
    // Rows the rank's experts receive over the mean of balanced routing; 1 = balanced.
    double routed_rows_factor = 1.0;
    // Counted instead of balanced (tensor parallelism 1); routed_rows_factor does not apply.
    std::optional<RoutedRows> routed = {};
};

// A batch's rows of each expert, padded.
constexpr std::int64_t padded_expert_rows(std::int64_t rows) { return (rows + 127) / 128 * 128; }

// Phases in execution order of that pass. forward of a MoE layer: attention, dispatch, mlp,
// combine; backward_input: combine, mlp, dispatch, attention; backward_weight: mlp, attention.
// Without expert parallelism dispatch and combine are absent; with tensor or context parallelism
// collectives cut the compute phases into several of the same kind.
std::vector<Phase> lower_layer(const ModelSpec& model, const LayerSpec& layer,
                               const ParallelPlan& plan, Pass pass, const BatchShape& batch);
std::vector<Phase> lower_embedding(const ModelSpec&, const ParallelPlan&, Pass, const BatchShape&);
std::vector<Phase> lower_head(const ModelSpec&, const ParallelPlan&, Pass, const BatchShape&);
// The part of an MTP module before its transformer layer: two norms, concatenation, 2h -> h.
std::vector<Phase> lower_mtp_projection(const ModelSpec&, const ParallelPlan&, Pass,
                                        const BatchShape&);

// Message a stage sends to the next for one micro-batch (activations forward, gradients backward).
Operator pipeline_send(const ModelSpec&, const ParallelPlan&, const BatchShape&);

// Bytes of each of AdamW's two moments: BF16 beside FP8 training (DeepSeek-V3 report, section
// 3.3.3), FP32 otherwise (the usual choice).
constexpr std::int64_t adam_moment_bytes(const ParallelPlan& plan) {
    return plan.precision == Precision::bf16 ? 4 : 2;
}

// End of the step: gradients reduced, norm, AdamW on the shard, parameters gathered, working copies
// rebuilt. `copies` is how many pipeline ranks hold the same stage (2 for DualPipe).
struct OptimizerStep {
    std::vector<Phase> phases;  // tensor_collective phases carry the collectives
};
OptimizerStep lower_optimizer(const ModelSpec&, const ParallelPlan&,
                              const std::vector<StageLayout>& held_stages, std::int64_t copies);

}  // namespace orrery
