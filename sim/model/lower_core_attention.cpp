// Core attention: FlashAttention forward, and backward with its two helper kernels.
//
// Context parallelism: K and V (keys with RoPE, expanded heads, BF16) are all-gathered over the
// group; gradients of K and V are reduce-scattered. A sequence of S tokens is cut into 2 cp slices
// of c = S / (2 cp); rank i holds slices i and 2 cp - 1 - i, whose causal work
//   [c (i+1) c - c^2/2] + [c (2 cp - i) c - c^2/2] = 2 cp c^2
// does not depend on i; rank 0's two calls, key lengths c and S, stand for every rank.
// The gather is done again in the backward pass, as K and V of other ranks are not kept.

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

// K and V of all ranks of the context group together.
double context_bytes(const CoreAttention& a, const BatchShape& batch) {
    const auto features = a.kv_heads * (a.query_key_dim + a.value_dim);
    return 2.0 * static_cast<double>(batch.sequences * batch.sequence_length) *
           static_cast<double>(features);
}

void gather_keys_values(PhaseBuilder& b, const CoreAttention& a, const BatchShape& batch) {
    if (b.plan().cp == 1) return;
    b.tensor_collective("key_value_all_gather", CommunicationKind::all_gather, Group::context,
                        b.plan().cp, Bytes(context_bytes(a, batch)));
}

void kernels(PhaseBuilder& b, const char* name, AttentionPass pass, const CoreAttention& a,
             const BatchShape& batch) {
    Attention shape{.pass = pass,
                    .sequences = batch.sequences,
                    .query_length = batch.sequence_length,
                    .key_length = batch.sequence_length,
                    .query_heads = a.heads,
                    .key_heads = a.kv_heads,
                    .query_key_dim = a.query_key_dim,
                    .value_dim = a.value_dim,
                    .window = a.window};
    if (b.plan().cp > 1) {
        shape.query_length = ceil_div(batch.sequence_length, 2 * b.plan().cp);
        shape.key_length = shape.query_length;
        b.add(name, shape);
        shape.key_length = batch.sequence_length;
    }
    b.add(name, shape);
}

}  // namespace

void core_attention_forward(PhaseBuilder& b, const CoreAttention& a, const BatchShape& batch) {
    gather_keys_values(b, a, batch);
    kernels(b, "core_attention", AttentionPass::forward, a, batch);
}

void core_attention_backward(PhaseBuilder& b, const CoreAttention& a, const BatchShape& batch) {
    gather_keys_values(b, a, batch);
    const double rows = static_cast<double>(b.tokens() * a.heads);
    const double values = rows * static_cast<double>(a.value_dim);
    const double queries = rows * static_cast<double>(a.query_key_dim);
    // O and dO in (BF16); row sums and log-sum-exp in base 2 out, the FP32 sum of dQ cleared.
    b.memory("core_attention.backward_preprocess", MemoryOpKind::attention_preprocess,
             b.tokens() * a.heads, a.value_dim, 4 * values + 4 * rows, 8 * rows + 4 * queries);
    kernels(b, "core_attention.backward", AttentionPass::backward, a, batch);
    b.memory("core_attention.backward_postprocess", MemoryOpKind::attention_postprocess,
             b.tokens() * a.heads, a.query_key_dim, 4 * queries, 2 * queries);
    if (b.plan().cp > 1) {
        b.tensor_collective("key_value_gradient_reduce_scatter", CommunicationKind::reduce_scatter,
                            Group::context, b.plan().cp, Bytes(context_bytes(a, batch)));
    }
}

}  // namespace orrery
