// Lightning indexer of DeepSeek sparse attention (DeepSeek-V3.2-Exp report): scores of every key
// for a query from a few light heads, of which the index_top_k best are attended to. Its weights
// are whole on every rank and see the rank's own tokens. Priced like attention without values, in
// the precision that the attention class has.

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

Attention scores(const PhaseBuilder& b, const MlaSpec& mla, const BatchShape& batch,
                 AttentionPass pass) {
    return {.pass = pass,
            .sequences = batch.sequences,
            .query_length = ceil_div(b.own_tokens(), batch.sequences),
            .key_length = batch.sequence_length,
            .query_heads = mla.index_heads,
            .key_heads = 1,
            .query_key_dim = mla.index_head_dim,
            .value_dim = 0};
}

}  // namespace

void indexer_forward(PhaseBuilder& b, const MlaSpec& mla, const BatchShape& batch) {
    if (mla.index_heads == 0) return;
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    const std::int64_t features = mla.index_heads * mla.index_head_dim;
    b.cast(linear::indexer_q.cast, t, mla.q_lora_rank);
    b.gemm(linear::indexer_q.forward, t, features, mla.q_lora_rank);
    b.gemm(linear::indexer_k.forward, t, mla.index_head_dim, hidden);
    b.gemm_bf16(linear::indexer_weights.forward, t, mla.index_heads, hidden);
    b.add("indexer_scores", scores(b, mla, batch, AttentionPass::forward));
    const double logits = 4.0 * static_cast<double>(t) * static_cast<double>(batch.sequence_length);
    b.memory("indexer_topk", MemoryOpKind::router, t, batch.sequence_length, logits / 2,
             4.0 * static_cast<double>(t * mla.index_top_k));
}

void indexer_backward(PhaseBuilder& b, const MlaSpec& mla, const BatchShape& batch) {
    if (mla.index_heads == 0) return;
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    const std::int64_t features = mla.index_heads * mla.index_head_dim;
    b.add("indexer_scores.backward", scores(b, mla, batch, AttentionPass::backward));
    b.cast(linear::indexer_q.gradient_cast, t, features);
    b.gemm(linear::indexer_q.dgrad, t, mla.q_lora_rank, features);
    b.gemm(linear::indexer_k.dgrad, t, hidden, mla.index_head_dim);
    b.gemm_bf16(linear::indexer_weights.dgrad, t, hidden, mla.index_heads);
}

void indexer_weight_gradients(PhaseBuilder& b, const MlaSpec& mla) {
    if (mla.index_heads == 0) return;
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    b.wgrad(linear::indexer_q.wgrad, mla.index_heads * mla.index_head_dim, mla.q_lora_rank, t);
    b.wgrad(linear::indexer_k.wgrad, mla.index_head_dim, hidden, t);
    b.wgrad_bf16(linear::indexer_weights.wgrad, mla.index_heads, hidden, t);
}

}  // namespace orrery
