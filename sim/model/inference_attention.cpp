// Attention of an inference iteration: projections over all tokens, core attention apart for
// prompts and for decoding, and the products that latent attention's two forms need.

#include <algorithm>

#include "model/inference_blocks.hpp"

namespace orrery {

namespace {

struct Latent {
    std::int64_t heads, nope, rope, value, query_rank, key_rank;
    std::int64_t width() const { return key_rank + rope; }
};

Latent latent_of(const AttentionSpec& spec, const InferencePlan& plan) {
    const MlaSpec& mla = *spec.mla;
    return {ceil_div(spec.heads, plan.tp),
            mla.qk_nope_head_dim,
            mla.qk_rope_head_dim,
            mla.v_head_dim,
            mla.q_lora_rank,
            mla.kv_lora_rank};
}

struct Grouped {
    std::int64_t heads, kv_heads, dim;
};
Grouped grouped_of(const AttentionSpec& spec, const InferencePlan& plan) {
    return {ceil_div(spec.heads, plan.tp), std::max<std::int64_t>(1, spec.kv_heads / plan.tp),
            spec.head_dim};
}

std::int64_t window_of(const AttentionSpec& spec) {
    const bool sparse = spec.mla && spec.mla->index_top_k > 0;
    return sparse ? spec.mla->index_top_k : spec.sliding_window;
}

// Mean query and key length of the prompts' attention.
struct Lengths {
    std::int64_t sequences, queries, keys;
};
Lengths prefill_lengths(const InferenceBatch& batch) {
    const std::int64_t s = std::max<std::int64_t>(1, batch.prefill_sequences);
    const std::int64_t q = ceil_div(batch.prefill_tokens, s);
    const double pairs = static_cast<double>(batch.prefill_pairs) / static_cast<double>(s * q);
    const auto keys = static_cast<std::int64_t>(pairs + static_cast<double>(q) / 2 + 0.5);
    return {s, q, std::max(q, keys)};
}
Lengths decode_lengths(const InferenceBatch& batch) {
    const std::int64_t s = std::max<std::int64_t>(1, batch.decode_sequences);
    const std::int64_t keys = (batch.decode_context + s / 2) / s;
    return {s, ceil_div(batch.decode_tokens, s), std::max<std::int64_t>(1, keys)};
}

Attention attention(AttentionPass pass, const Lengths& at, std::int64_t window) {
    return {.pass = pass,
            .sequences = at.sequences,
            .query_length = at.queries,
            .key_length = at.keys,
            .window = window};
}

// One BF16 product a head, all heads in one kernel; `rows` of each.
void per_head(InferenceBuilder& b, const char* name, std::int64_t heads, std::int64_t rows,
              std::int64_t n, std::int64_t k) {
    b->add(name, GroupedGemm{.groups = heads, .rows = heads * rows, .n = n, .k = k});
}

// Scores of the lightning indexer and their top-k for one kind of tokens (lower_indexer.cpp).
void index_scores(InferenceBuilder& b, const MlaSpec& mla, Lengths at, AttentionPass pass) {
    Attention scores = attention(pass, at, 0);
    scores.query_heads = mla.index_heads;
    scores.key_heads = 1;
    scores.query_key_dim = mla.index_head_dim;
    scores.key_value_bits = 8;
    b->add("indexer_scores", scores);
    const std::int64_t rows = at.sequences * at.queries;
    const double causal = pass == AttentionPass::forward ? 0.5 : 1;
    b->memory("indexer_topk", MemoryOpKind::router, rows, at.keys,
              4.0 * causal * static_cast<double>(rows) * static_cast<double>(at.keys),
              4.0 * static_cast<double>(rows * mla.index_top_k));
}

void indexer_projections(InferenceBuilder& b, const MlaSpec& mla, std::int64_t tokens,
                         std::int64_t hidden) {
    b->gemm(linear::indexer_q.forward, tokens, mla.index_heads * mla.index_head_dim,
            mla.q_lora_rank);
    b->gemm(linear::indexer_k.forward, tokens, mla.index_head_dim, hidden);
    b->gemm_bf16(linear::indexer_weights.forward, tokens, mla.index_heads, hidden);
}

// Keys and values of prompts expanded from latents; cached ones are read from the pages first.
void expand_keys(InferenceBuilder& b, const Latent& s, const InferencePlan& plan,
                 std::int64_t fresh, std::int64_t cached) {
    const std::int64_t rows = fresh + cached;
    if (cached > 0) {
        const double elements = static_cast<double>(cached * s.width());
        b->memory("cache_read", MemoryOpKind::copy, cached, s.width(),
                  elements * static_cast<double>(plan.key_value_bits) / 8, 2 * elements);
    }
    b.linear(linear::kv_b, rows, s.heads * (s.nope + s.value), s.key_rank);
    b->elementwise("key_copy", MemoryOpKind::copy, rows, s.heads * s.nope, 1, 1);
    b->memory("rope_key_broadcast", MemoryOpKind::copy, rows, s.heads * s.rope,
              2.0 * static_cast<double>(rows * s.rope),
              2.0 * static_cast<double>(rows * s.heads * s.rope));
}

// Absorbed attention of `rows` query tokens with the products around it.
void latent_core(InferenceBuilder& b, const Latent& s, Attention core, const InferencePlan& plan,
                 std::int64_t rows) {
    core.pass = AttentionPass::decode;
    core.query_heads = s.heads;
    core.key_heads = 1;
    core.query_key_dim = s.width();
    core.value_dim = s.key_rank;
    core.key_value_bits = plan.key_value_bits;
    per_head(b, "absorbed_queries", s.heads, rows, s.key_rank, s.nope);
    b->add("core_attention", core);
    per_head(b, "absorbed_values", s.heads, rows, s.value, s.key_rank);
}

// Over keys and values multiplied out for every head.
void expanded_core(InferenceBuilder& b, const Latent& s, Attention core) {
    core.query_heads = core.key_heads = s.heads;
    core.query_key_dim = s.nope + s.rope;
    core.value_dim = s.value;
    b->add("core_attention", core);
}

void grouped_core(InferenceBuilder& b, const Grouped& s, Attention core) {
    core.query_heads = s.heads;
    core.key_heads = s.kv_heads;
    core.query_key_dim = core.value_dim = s.dim;
    b->add("core_attention", core);
}

void prefill_core(InferenceBuilder& b, const AttentionSpec& spec, const InferencePlan& plan,
                  const InferenceBatch& batch, AttentionForm form) {
    const Lengths at = prefill_lengths(batch);
    Attention core = attention(AttentionPass::forward, at, window_of(spec));
    if (!spec.mla) return grouped_core(b, grouped_of(spec, plan), core);
    const Latent s = latent_of(spec, plan);
    if (spec.mla->index_heads > 0) index_scores(b, *spec.mla, at, AttentionPass::forward);
    if (form == AttentionForm::absorbed) {
        // Half of the new keys on average, as the causal kernel skips what lies behind a query.
        core.key_length -= at.queries / 2;
        latent_core(b, s, core, plan, batch.prefill_tokens);
        return;
    }
    expand_keys(b, s, plan, batch.prefill_tokens, batch.prefill_context);
    expanded_core(b, s, core);
}

void decode_core(InferenceBuilder& b, const AttentionSpec& spec, const InferencePlan& plan,
                 const InferenceBatch& batch, AttentionForm form) {
    const Lengths at = decode_lengths(batch);
    Attention core = attention(AttentionPass::decode, at, window_of(spec));
    core.key_value_bits = plan.key_value_bits;
    if (!spec.mla) return grouped_core(b, grouped_of(spec, plan), core);
    const Latent s = latent_of(spec, plan);
    if (spec.mla->index_heads > 0) index_scores(b, *spec.mla, at, AttentionPass::decode);
    if (form == AttentionForm::absorbed) {
        latent_core(b, s, core, plan, batch.decode_tokens);
        return;
    }
    expand_keys(b, s, plan, 0, batch.decode_context);
    core.key_value_bits = 16;
    expanded_core(b, s, core);
}

void latent_in(InferenceBuilder& b, const ModelSpec& model, const AttentionSpec& spec,
               const InferencePlan& plan, std::int64_t T) {
    const Latent s = latent_of(spec, plan);
    const std::int64_t hidden = model.hidden;
    const std::int64_t queries = s.heads * (s.nope + s.rope);
    b->cast(linear::q_a.cast, T, hidden);
    b->gemm(s.query_rank > 0 ? "qkv_a_proj" : linear::kv_a.forward, T, s.query_rank + s.width(),
            hidden);
    if (s.query_rank > 0) {
        b->rms_norm(norm::q_a.forward, T, s.query_rank);
        b->rms_norm(norm::kv_a.forward, T, s.key_rank);
        b.linear(linear::q_b, T, queries, s.query_rank);
    } else {
        b->rms_norm(norm::kv_a.forward, T, s.key_rank);
        b->gemm(linear::q.forward, T, queries, hidden);
    }
    if (spec.mla->index_heads > 0) indexer_projections(b, *spec.mla, T, hidden);
    b->elementwise("rope", MemoryOpKind::rope, T, (s.heads + 1) * s.rope, 1, 1);
    const double latents = static_cast<double>(T * s.width());
    b->memory("cache_write", MemoryOpKind::copy, T, s.width(), 2 * latents,
              latents * static_cast<double>(plan.key_value_bits) / 8);
}

void grouped_in(InferenceBuilder& b, const ModelSpec& model, const AttentionSpec& spec,
                const InferencePlan& plan, std::int64_t T) {
    const Grouped s = grouped_of(spec, plan);
    b.linear(linear::qkv, T, (s.heads + 2 * s.kv_heads) * s.dim, model.hidden);
    if (spec.qk_norm) {
        b->rms_norm(norm::q.forward, T * s.heads, s.dim);
        b->rms_norm(norm::k.forward, T * s.kv_heads, s.dim);
    }
    b->elementwise("rope", MemoryOpKind::rope, T, (s.heads + s.kv_heads) * s.dim, 1, 1);
    const double cached = static_cast<double>(2 * T * s.kv_heads * s.dim);
    b->memory("cache_write", MemoryOpKind::copy, T, 2 * s.kv_heads * s.dim, 2 * cached,
              cached * static_cast<double>(plan.key_value_bits) / 8);
}

}  // namespace

void lower_attention_in(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                        const InferencePlan& plan, std::int64_t T) {
    const std::int64_t t = own_tokens(plan, T);
    const bool shared = layer.moe && layer.moe->shared_expert_intermediate > 0;
    b->rms_norm(norm::attention.forward, t, model.hidden, shared ? 3 : 2);
    if (plan.all_to_all()) {
        b.collective("attention_input_all_gather", CommunicationKind::all_gather, T, model.hidden);
    }
    if (layer.attention.mla) {
        latent_in(b, model, layer.attention, plan, T);
    } else {
        grouped_in(b, model, layer.attention, plan, T);
    }
}

void lower_attention_out(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                         const InferencePlan& plan, std::int64_t T) {
    const std::int64_t t = own_tokens(plan, T), hidden = model.hidden;
    std::int64_t outputs = 0;
    if (layer.attention.mla) {
        const Latent s = latent_of(layer.attention, plan);
        outputs = s.heads * s.value;
    } else {
        const Grouped s = grouped_of(layer.attention, plan);
        outputs = s.heads * s.dim;
    }
    b.linear(linear::o, T, hidden, outputs);
    b.collective(
        plan.all_to_all() ? "attention_output_reduce_scatter" : "attention_all_reduce",
        plan.all_to_all() ? CommunicationKind::reduce_scatter : CommunicationKind::all_reduce, T,
        hidden);
    b->rms_norm(norm::mlp.forward, t, hidden, 2);
}

std::vector<Operator> lower_prefill_core(const LayerSpec& layer, const InferencePlan& plan,
                                         const InferenceBatch& batch, AttentionForm form) {
    if (batch.prefill_tokens == 0) return {};
    const ModelSpec none;
    InferenceBuilder b(none, plan, batch.tokens());
    prefill_core(b, layer.attention, plan, batch, form);
    return b.take();
}

std::vector<Operator> lower_decode_core(const LayerSpec& layer, const InferencePlan& plan,
                                        const InferenceBatch& batch, AttentionForm form) {
    if (batch.decode_tokens == 0) return {};
    const ModelSpec none;
    InferenceBuilder b(none, plan, batch.tokens());
    decode_core(b, layer.attention, plan, batch, form);
    return b.take();
}

}  // namespace orrery
