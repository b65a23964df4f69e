// Grouped-query attention (Llama, Qwen, Mixtral, GPT-OSS; MHA where kv_heads = heads) with one
// fused projection for queries, keys and values. Tensor parallelism splits heads; the norm's output
// is gathered over the group's tokens before the projection (again in the backward pass, for the
// weight gradient) and the output projection's partial sums are reduce-scattered. Bias additions
// are GEMM epilogues; their gradients are a sum over tokens. Attention sinks cost nothing extra.

#include <algorithm>

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

struct Sizes {
    std::int64_t heads, kv_heads, dim;
    std::int64_t qkv() const { return (heads + 2 * kv_heads) * dim; }
    std::int64_t outputs() const { return heads * dim; }
};

Sizes sizes(const PhaseBuilder& b, const AttentionSpec& spec) {
    return {.heads = ceil_div(spec.heads, b.plan().tp),
            .kv_heads = std::max<std::int64_t>(1, spec.kv_heads / b.plan().tp),
            .dim = spec.head_dim};
}

CoreAttention core(const Sizes& s, const AttentionSpec& spec) {
    return {.heads = s.heads,
            .kv_heads = s.kv_heads,
            .query_key_dim = s.dim,
            .value_dim = s.dim,
            .window = spec.sliding_window};
}

// Gradient of a bias: sum over tokens of a gradient, added to the FP32 main gradient.
void bias_gradient(PhaseBuilder& b, const char* name, std::int64_t rows, std::int64_t columns) {
    b.memory(name, MemoryOpKind::add, rows, columns, 2.0 * static_cast<double>(rows * columns),
             8.0 * static_cast<double>(columns));
}

}  // namespace

void gqa_forward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch,
                 int input_parts) {
    const Sizes s = sizes(b, spec);
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.rms_norm(norm::attention.forward, b.own_tokens(), hidden, input_parts);
    b.gather_tokens("attention_input_all_gather", hidden);
    b.cast(linear::qkv.cast, T, hidden);
    b.scales(linear::qkv.scales, T, hidden);
    b.gemm(linear::qkv.forward, T, s.qkv(), hidden);
    if (spec.qk_norm) {
        b.rms_norm(norm::q.forward, T * s.heads, s.dim);
        b.rms_norm(norm::k.forward, T * s.kv_heads, s.dim);
    }
    b.elementwise("rope", MemoryOpKind::rope, T, (s.heads + s.kv_heads) * s.dim, 1, 1);
    core_attention_forward(b, core(s, spec), batch);
    b.cast(linear::o.cast, T, s.outputs());
    b.scales(linear::o.scales, T, s.outputs());
    b.gemm(linear::o.forward, T, hidden, s.outputs());
    b.scatter_tokens("attention_output_reduce_scatter", hidden);
}

void gqa_backward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch) {
    const Sizes s = sizes(b, spec);
    const std::int64_t T = b.tokens(), t = b.own_tokens(), hidden = b.hidden();
    const LinearNames &o = linear::o, &qkv = linear::qkv;
    b.gather_tokens("attention_gradient_all_gather", hidden);
    b.cast(o.gradient_cast, T, hidden);
    b.weight_transpose(o.weight_transpose, hidden, s.outputs());
    b.scales(o.gradient_scales, T, hidden);
    b.gemm(o.dgrad, T, s.outputs(), hidden);
    b.cast_transpose(o.input_transpose, T, s.outputs());
    b.cast_transpose(o.gradient_transpose, T, hidden);
    if (spec.output_bias) bias_gradient(b, "o_proj.bias_gradient", T, hidden);
    core_attention_backward(b, core(s, spec), batch);
    b.elementwise("rope.backward", MemoryOpKind::rope, T, (s.heads + s.kv_heads) * s.dim, 1, 1);
    if (spec.qk_norm) {
        b.rms_norm_backward(norm::k, T * s.kv_heads, s.dim);
        b.rms_norm_backward(norm::q, T * s.heads, s.dim);
    }
    b.elementwise("qkv_gradient_copy", MemoryOpKind::copy, T, s.qkv(), 1, 1);
    if (spec.qkv_bias) bias_gradient(b, "qkv_proj.bias_gradient", T, s.qkv());
    if (b.plan().recompute.norm) b.rms_norm(norm::attention.recompute, t, hidden);
    b.gather_tokens("attention_input_all_gather", hidden);
    b.cast(qkv.gradient_cast, T, s.qkv());
    b.weight_transpose(qkv.weight_transpose, s.qkv(), hidden);
    b.scales(qkv.gradient_scales, T, s.qkv());
    b.gemm(qkv.dgrad, T, hidden, s.qkv());
    b.cast_transpose(qkv.input_transpose, T, hidden);
    b.cast_transpose(qkv.gradient_transpose, T, s.qkv());
    b.scatter_tokens("attention_input_gradient_reduce_scatter", hidden);
    b.rms_norm_backward(norm::attention, t, hidden, 3);
}

void gqa_weight_gradients(PhaseBuilder& b, const AttentionSpec& spec) {
    const Sizes s = sizes(b, spec);
    b.wgrad(linear::o.wgrad, b.hidden(), s.outputs(), b.tokens());
    b.wgrad(linear::qkv.wgrad, s.qkv(), b.hidden(), b.tokens());
}

}  // namespace orrery
