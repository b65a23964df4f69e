// Multi-head latent attention (DeepSeek-V2 report, section 2.1), training form: keys and values are
// expanded to all heads. With h heads on this rank, T tokens, d_n + d_r query-key and d_v value
// features a head:
//   q latent  = X W_qa            [T, q_lora]         kv latent, shared RoPE key = X W_kva
//   queries   = norm(q latent) W_qb                   [T, h (d_n + d_r)]
//   keys, values = norm(kv latent) W_kvb              [T, h (d_n + d_v)]
// Tensor parallelism splits heads (W_qb, W_kvb by output, W_o by input). W_qa and W_kva are whole
// on every rank and see its own tokens only (sequence parallelism), so what is gathered before the
// split projections are the latents, and their gradients are scattered; the gather is repeated in
// the backward pass. Without q_lora the layer's input itself is gathered for the query projection.

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

struct Sizes {
    std::int64_t heads, nope, rope, value, query_rank, key_rank;
    std::int64_t queries() const { return heads * (nope + rope); }
    std::int64_t keys_values() const { return heads * (nope + value); }
    std::int64_t outputs() const { return heads * value; }
    std::int64_t latent() const { return key_rank + rope; }
};

Sizes sizes(const PhaseBuilder& b, const AttentionSpec& spec) {
    const MlaSpec& mla = *spec.mla;
    return {.heads = ceil_div(spec.heads, b.plan().tp),
            .nope = mla.qk_nope_head_dim,
            .rope = mla.qk_rope_head_dim,
            .value = mla.v_head_dim,
            .query_rank = mla.q_lora_rank,
            .key_rank = mla.kv_lora_rank};
}

CoreAttention core(const Sizes& s, const AttentionSpec& spec) {
    // Sparse attention gives a query at most index_top_k keys: as many pairs as a window of it.
    const std::int64_t window =
        spec.mla->index_top_k > 0 ? spec.mla->index_top_k : spec.sliding_window;
    return {.heads = s.heads,
            .kv_heads = s.heads,
            .query_key_dim = s.nope + s.rope,
            .value_dim = s.value,
            .window = window};
}

void gather_latents(PhaseBuilder& b, const Sizes& s) {
    b.gather_tokens("latent_all_gather",
                    (s.query_rank > 0 ? s.query_rank : b.hidden()) + s.latent());
}

// Norms of the latents; the kv latent is first copied out of the joint projection's result.
void latent_norms(PhaseBuilder& b, const Sizes& s, bool recompute) {
    const auto name = [&](const NormNames& n) { return recompute ? n.recompute : n.forward; };
    if (s.query_rank > 0) b.rms_norm(name(norm::q_a), b.own_tokens(), s.query_rank);
    b.elementwise("kv_latent_copy", MemoryOpKind::copy, b.own_tokens(), s.key_rank, 1, 1);
    b.rms_norm(name(norm::kv_a), b.own_tokens(), s.key_rank);
}

// Queries, keys and values from the normalised latents, RoPE applied, keys put together.
void up_projections(PhaseBuilder& b, const Sizes& s, bool recompute) {
    const LinearNames& q = s.query_rank > 0 ? linear::q_b : linear::q;
    const std::int64_t query_inputs = s.query_rank > 0 ? s.query_rank : b.hidden();
    const std::int64_t T = b.tokens();
    b.cast(q.cast, T, query_inputs);
    b.scales(q.scales, T, query_inputs);
    b.gemm(recompute ? q.recompute : q.forward, T, s.queries(), query_inputs);
    b.cast(linear::kv_b.cast, T, s.key_rank);
    b.scales(linear::kv_b.scales, T, s.key_rank);
    b.gemm(recompute ? linear::kv_b.recompute : linear::kv_b.forward, T, s.keys_values(),
           s.key_rank);
    b.elementwise("rope_key", MemoryOpKind::rope, T, s.rope, 1, 1);
    b.elementwise("key_copy", MemoryOpKind::copy, T, s.heads * s.nope, 1, 1);
    b.memory("rope_key_broadcast", MemoryOpKind::copy, T, s.heads * s.rope,
             2.0 * static_cast<double>(T * s.rope),
             2.0 * static_cast<double>(T * s.heads * s.rope));
    b.elementwise("rope_query", MemoryOpKind::rope, T, s.heads * s.rope, 1, 1);
}

// Bytes of the attention output kept in E5M6 (12 bits, 1x128 scales).
double cached_output_bytes(const PhaseBuilder& b, const Sizes& s) {
    const double rows = static_cast<double>(b.tokens());
    return rows * (1.5 * static_cast<double>(s.outputs()) +
                   4.0 * static_cast<double>(ceil_div(s.outputs(), 128)));
}
double output_bytes(const PhaseBuilder& b, const Sizes& s) {
    return 2.0 * static_cast<double>(b.tokens() * s.outputs());
}

// Gradients of queries and keys/values to gradients of the latents.
void up_projections_backward(PhaseBuilder& b, const Sizes& s) {
    const LinearNames& q = s.query_rank > 0 ? linear::q_b : linear::q;
    const LinearNames& kv = linear::kv_b;
    const std::int64_t query_inputs = s.query_rank > 0 ? s.query_rank : b.hidden();
    const std::int64_t T = b.tokens();
    b.elementwise("rope_query.backward", MemoryOpKind::rope, T, s.heads * s.rope, 1, 1);
    b.weight_transpose(q.weight_transpose, s.queries(), query_inputs);
    b.cast(q.gradient_cast, T, s.queries());
    b.scales(q.gradient_scales, T, s.queries());
    b.gemm(q.dgrad, T, query_inputs, s.queries());
    b.memory("rope_key_sum", MemoryOpKind::add, T, s.heads * s.rope,
             2.0 * static_cast<double>(T * s.heads * s.rope),
             2.0 * static_cast<double>(T * s.rope));
    b.elementwise("rope_key.backward", MemoryOpKind::rope, T, s.rope, 1, 1);
    b.elementwise("key_gradient_copy", MemoryOpKind::copy, T, s.heads * s.nope, 1, 1);
    b.elementwise("value_gradient_copy", MemoryOpKind::copy, T, s.outputs(), 1, 1);
    b.weight_transpose(kv.weight_transpose, s.keys_values(), s.key_rank);
    b.cast(kv.gradient_cast, T, s.keys_values());
    b.scales(kv.gradient_scales, T, s.keys_values());
    b.gemm(kv.dgrad, T, s.key_rank, s.keys_values());
    b.cast_transpose(kv.gradient_transpose, T, s.keys_values());
    b.cast_transpose(kv.input_transpose, T, s.key_rank);
    b.cast_transpose(q.gradient_transpose, T, s.queries());
    b.cast_transpose(q.input_transpose, T, query_inputs);
}

// The gradient of the joint kv projection's result, from its two parts.
void join_latent_gradient(PhaseBuilder& b, const Sizes& s) {
    const std::int64_t t = b.own_tokens();
    b.elementwise("latent_gradient_zero", MemoryOpKind::zero, t, s.latent(), 0, 1);
    b.elementwise("rope_key_gradient_copy", MemoryOpKind::copy, t, s.rope, 1, 1);
    b.elementwise("latent_gradient_zero", MemoryOpKind::zero, t, s.latent(), 0, 1);
    b.elementwise("kv_latent_gradient_copy", MemoryOpKind::copy, t, s.key_rank, 1, 1);
    b.elementwise("latent_gradient_add", MemoryOpKind::add, t, s.latent(), 2, 1);
}

void down_projection_backward(PhaseBuilder& b, const LinearNames& names, std::int64_t out) {
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    b.cast(names.gradient_cast, t, out);
    b.weight_transpose(names.weight_transpose, out, hidden);
    b.scales(names.gradient_scales, t, out);
    b.gemm(names.dgrad, t, hidden, out);
    b.cast_transpose(names.input_transpose, t, hidden);
    b.cast_transpose(names.gradient_transpose, t, out);
}

void output_projection_backward(PhaseBuilder& b, const Sizes& s) {
    const LinearNames& o = linear::o;
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.elementwise("attention_output_scale.backward", MemoryOpKind::add, b.own_tokens(), hidden, 1,
                  1);
    b.gather_tokens("attention_gradient_all_gather", hidden);
    if (b.block_scales()) {
        b.memory("attention_output.cast_back", MemoryOpKind::cast_back, T, s.outputs(),
                 cached_output_bytes(b, s), output_bytes(b, s));
    }
    b.cast(o.gradient_cast, T, hidden);
    b.weight_transpose(o.weight_transpose, hidden, s.outputs());
    b.scales(o.gradient_scales, T, hidden);
    b.gemm(o.dgrad, T, s.outputs(), hidden);
    b.cast_transpose(o.input_transpose, T, s.outputs());
    b.cast_transpose(o.gradient_transpose, T, hidden);
}

}  // namespace

void mla_forward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch,
                 int input_parts) {
    const Sizes s = sizes(b, spec);
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    b.rms_norm(norm::attention.forward, t, hidden, input_parts);
    if (s.query_rank > 0) {
        b.cast(linear::q_a.cast, t, hidden);
        b.scales(linear::q_a.scales, t, hidden);
        b.gemm(linear::q_a.forward, t, s.query_rank, hidden);
    }
    b.cast(linear::kv_a.cast, t, hidden);
    b.scales(linear::kv_a.scales, t, hidden);
    b.gemm(linear::kv_a.forward, t, s.latent(), hidden);
    b.memory("position_ids", MemoryOpKind::copy, t, 1, 0, 16.0 * static_cast<double>(t), 2);
    latent_norms(b, s, false);
    b.elementwise("rope_key_copy", MemoryOpKind::copy, t, s.rope, 1, 1);
    indexer_forward(b, *spec.mla, batch);
    gather_latents(b, s);
    up_projections(b, s, false);
    core_attention_forward(b, core(s, spec), batch);
    if (b.block_scales()) {
        b.memory("attention_output.cast", MemoryOpKind::cast_fp8, b.tokens(), s.outputs(),
                 output_bytes(b, s), cached_output_bytes(b, s));
    }
    b.cast(linear::o.cast, b.tokens(), s.outputs());
    b.scales(linear::o.scales, b.tokens(), s.outputs());
    b.gemm(linear::o.forward, b.tokens(), hidden, s.outputs());
    b.scatter_tokens("attention_output_reduce_scatter", hidden);
    b.elementwise("attention_output_scale", MemoryOpKind::add, t, hidden, 1, 1);
}

void mla_backward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch) {
    const Sizes s = sizes(b, spec);
    const Recompute& recompute = b.plan().recompute;
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    output_projection_backward(b, s);
    if (recompute.norm) latent_norms(b, s, true);
    gather_latents(b, s);
    if (recompute.mla_up_projection) up_projections(b, s, true);
    core_attention_backward(b, core(s, spec), batch);
    indexer_backward(b, *spec.mla, batch);
    up_projections_backward(b, s);
    b.scatter_tokens("latent_gradient_reduce_scatter",
                     (s.query_rank > 0 ? s.query_rank : hidden) + s.latent());
    b.rms_norm_backward(norm::kv_a, t, s.key_rank);
    if (s.query_rank > 0) b.rms_norm_backward(norm::q_a, t, s.query_rank);
    join_latent_gradient(b, s);
    if (recompute.norm) b.rms_norm(norm::attention.recompute, t, hidden);
    down_projection_backward(b, linear::kv_a, s.latent());
    if (s.query_rank > 0) down_projection_backward(b, linear::q_a, s.query_rank);
    b.elementwise("attention_input_gradient_add", MemoryOpKind::add, t, hidden, 2, 1);
    b.rms_norm_backward(norm::attention, t, hidden, 3);
}

void mla_weight_gradients(PhaseBuilder& b, const AttentionSpec& spec) {
    const Sizes s = sizes(b, spec);
    const std::int64_t T = b.tokens(), t = b.own_tokens(), hidden = b.hidden();
    b.wgrad(linear::o.wgrad, hidden, s.outputs(), T);
    b.wgrad(linear::kv_b.wgrad, s.keys_values(), s.key_rank, T);
    if (s.query_rank > 0) {
        b.wgrad(linear::q_b.wgrad, s.queries(), s.query_rank, T);
    } else {
        b.wgrad(linear::q.wgrad, s.queries(), hidden, T);
    }
    b.wgrad(linear::kv_a.wgrad, s.latent(), hidden, t);
    if (s.query_rank > 0) b.wgrad(linear::q_a.wgrad, s.query_rank, hidden, t);
    indexer_weight_gradients(b, *spec.mla);
}

}  // namespace orrery
