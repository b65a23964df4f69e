// Gated MLP, Y = (silu(X W_gate) * X W_up) W_down, as the dense MLP of a layer and as the shared
// expert of a MoE layer. W_gate and W_up are one GEMM of 2 I output features. Tensor parallelism
// splits I; the norm's output is gathered over the group's tokens and Y reduce-scattered.
// With recompute.swiglu and FP8 the GEMM's result is kept in FP8 (a cast after the block) and comes
// back to BF16 in the backward pass, where SwiGLU is run again straight into the transposed FP8
// form that the weight gradient of W_down takes.

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

double tensor(std::int64_t rows, std::int64_t columns) {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns);
}

bool cached_in_fp8(const PhaseBuilder& b) { return b.fp8() && b.plan().recompute.swiglu; }

}  // namespace

const GatedMlpNames& dense_mlp_names() {
    static constexpr GatedMlpNames names{
        linear::gate_up,          linear::down,         "swiglu",
        "swiglu.backward",        "swiglu.recompute",   "swiglu_input.cast",
        "swiglu_input.cast_back", "mlp_input.cast_back"};
    return names;
}

const GatedMlpNames& shared_expert_names() {
    static constexpr GatedMlpNames names{
        linear::shared_gate_up,          linear::shared_down,       "shared_swiglu",
        "shared_swiglu.backward",        "shared_swiglu.recompute", "shared_swiglu_input.cast",
        "shared_swiglu_input.cast_back", "mlp_input.cast_back"};
    return names;
}

void gated_mlp_up(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate) {
    b.scales(names.gate_up.scales, b.tokens(), b.hidden());
    b.gemm(names.gate_up.forward, b.tokens(), 2 * intermediate, b.hidden());
}

void gated_mlp_down(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate) {
    const std::int64_t T = b.tokens();
    b.memory(names.swiglu, MemoryOpKind::swiglu, T, intermediate, tensor(T, 2 * intermediate),
             b.fp8() ? b.fp8_bytes(T, intermediate) : tensor(T, intermediate));
    b.scales(names.down.scales, T, intermediate);
    b.gemm(names.down.forward, T, b.hidden(), intermediate);
}

void gated_mlp_cache(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate) {
    if (cached_in_fp8(b)) b.cast(names.cache, b.tokens(), 2 * intermediate);
}

void gated_mlp_backward_down(PhaseBuilder& b, const GatedMlpNames& names,
                             std::int64_t intermediate) {
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    if (cached_in_fp8(b)) b.cast_back(names.cache_back, T, 2 * intermediate);
    b.weight_transpose(names.down.weight_transpose, hidden, intermediate);
    b.scales(names.down.gradient_scales, T, hidden);
    b.gemm(names.down.dgrad, T, intermediate, hidden);
    b.cast_transpose(names.down.gradient_transpose, T, hidden, PhaseBuilder::Input::fp8);
    if (b.plan().recompute.swiglu) {
        b.memory(names.swiglu_recompute, MemoryOpKind::swiglu, T, intermediate,
                 tensor(T, 2 * intermediate),
                 b.fp8() ? b.fp8_bytes(intermediate, T) : tensor(T, intermediate));
    } else {
        b.cast_transpose(names.down.input_transpose, T, intermediate, PhaseBuilder::Input::fp8);
    }
    b.memory(names.swiglu_backward, MemoryOpKind::swiglu_backward, T, intermediate,
             tensor(T, 3 * intermediate), tensor(T, 2 * intermediate));
}

void gated_mlp_backward_up(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate) {
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.cast_back(names.input_back, T, hidden);
    b.weight_transpose(names.gate_up.weight_transpose, 2 * intermediate, hidden);
    b.cast(names.gate_up.gradient_cast, T, 2 * intermediate);
    b.scales(names.gate_up.gradient_scales, T, 2 * intermediate);
    b.gemm(names.gate_up.dgrad, T, hidden, 2 * intermediate);
    b.cast_transpose(names.gate_up.gradient_transpose, T, 2 * intermediate);
    b.cast_transpose(names.gate_up.input_transpose, T, hidden);
}

void mlp_input_recompute(PhaseBuilder& b, const LinearNames& gate_up) {
    if (b.plan().recompute.norm) b.rms_norm(norm::mlp.recompute, b.own_tokens(), b.hidden());
    b.gather_tokens("mlp_input_all_gather", b.hidden());
    if (b.plan().recompute.norm) b.cast(gate_up.cast, b.tokens(), b.hidden());
}

void dense_mlp_forward(PhaseBuilder& b, std::int64_t intermediate) {
    const GatedMlpNames& names = dense_mlp_names();
    const std::int64_t own = ceil_div(intermediate, b.plan().tp);
    b.begin(PhaseKind::mlp);
    b.gather_tokens("mlp_input_all_gather", b.hidden());
    b.cast(names.gate_up.cast, b.tokens(), b.hidden());
    gated_mlp_up(b, names, own);
    gated_mlp_down(b, names, own);
    gated_mlp_cache(b, names, own);
    b.scatter_tokens("mlp_output_reduce_scatter", b.hidden());
}

void dense_mlp_backward(PhaseBuilder& b, std::int64_t intermediate) {
    const GatedMlpNames& names = dense_mlp_names();
    const std::int64_t own = ceil_div(intermediate, b.plan().tp);
    b.begin(PhaseKind::mlp);
    b.gather_tokens("mlp_gradient_all_gather", b.hidden());
    b.cast(names.down.gradient_cast, b.tokens(), b.hidden());
    gated_mlp_backward_down(b, names, own);
    mlp_input_recompute(b, names.gate_up);
    gated_mlp_backward_up(b, names, own);
    b.scatter_tokens("mlp_input_gradient_reduce_scatter", b.hidden());
}

void dense_mlp_weight_gradients(PhaseBuilder& b, std::int64_t intermediate) {
    const std::int64_t own = ceil_div(intermediate, b.plan().tp);
    b.begin(PhaseKind::mlp);
    b.wgrad(linear::down.wgrad, b.hidden(), own, b.tokens());
    b.wgrad(linear::gate_up.wgrad, 2 * own, b.hidden(), b.tokens());
}

}  // namespace orrery
