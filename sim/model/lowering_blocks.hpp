#pragma once
// The blocks a layer is assembled from; each adds its operators of one pass to a builder, in the
// order the kernels run. Which kernels run was taken from DeepSeek's trace of one F&B chunk pair
// (github.com/deepseek-ai/profile-data, train.json), their shapes from the model's dimensions.

#include <cstdint>

#include "model/lowering_builder.hpp"

namespace orrery {

// Attention from the layer's input to the output projection, without the norm after it.
// `input_parts`: tensors summed into the layer's input (residual stream and the outputs of the
// block before, which its first norm adds up).
void mla_forward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch,
                 int input_parts);
void mla_backward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch);
void mla_weight_gradients(PhaseBuilder& b, const AttentionSpec& spec);
// The indexer of sparse attention (nothing where the model has none).
void indexer_forward(PhaseBuilder& b, const MlaSpec& mla, const BatchShape& batch);
void indexer_backward(PhaseBuilder& b, const MlaSpec& mla, const BatchShape& batch);
void indexer_weight_gradients(PhaseBuilder& b, const MlaSpec& mla);
void gqa_forward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch,
                 int input_parts);
void gqa_backward(PhaseBuilder& b, const AttentionSpec& spec, const BatchShape& batch);
void gqa_weight_gradients(PhaseBuilder& b, const AttentionSpec& spec);

// Core attention of `heads` query heads on this rank. Context parallelism gathers K and V over the
// group and gives each rank two opposite slices of the sequence, so that causal work is even.
struct CoreAttention {
    std::int64_t heads = 0, kv_heads = 0, query_key_dim = 0, value_dim = 0, window = 0;
};
void core_attention_forward(PhaseBuilder& b, const CoreAttention& a, const BatchShape& batch);
void core_attention_backward(PhaseBuilder& b, const CoreAttention& a, const BatchShape& batch);

// Names of the two linear layers of a gated MLP and of what runs between them.
struct GatedMlpNames {
    LinearNames gate_up, down;
    const char *swiglu, *swiglu_backward, *swiglu_recompute, *cache, *cache_back, *input_back;
};
const GatedMlpNames& dense_mlp_names();
const GatedMlpNames& shared_expert_names();

// A gated MLP with `intermediate` features on this rank over all tokens of the tensor group, in the
// halves a MoE layer runs around its experts.
void gated_mlp_up(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate);
void gated_mlp_down(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate);
void gated_mlp_cache(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate);
void gated_mlp_backward_down(PhaseBuilder& b, const GatedMlpNames& names,
                             std::int64_t intermediate);
void gated_mlp_backward_up(PhaseBuilder& b, const GatedMlpNames& names, std::int64_t intermediate);
// The norm's output again, cast as the forward pass did, for the weight gradient.
void mlp_input_recompute(PhaseBuilder& b, const LinearNames& gate_up);

// Whole MLP blocks with their phases; the MoE ones hold dispatch and combine.
void dense_mlp_forward(PhaseBuilder& b, std::int64_t intermediate);
void dense_mlp_backward(PhaseBuilder& b, std::int64_t intermediate);
void dense_mlp_weight_gradients(PhaseBuilder& b, std::int64_t intermediate);
void moe_forward(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch);
void moe_backward(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch);
void moe_weight_gradients(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch);

// Router: scores, top-k and balance counts; part of the attention phase.
void router_forward(PhaseBuilder& b, const MoeSpec& moe);
void router_backward(PhaseBuilder& b, const MoeSpec& moe);

// Expert rows on this rank: as counted, or the balanced share x routed_rows_factor, each expert's
// rows padded to 128.
struct ExpertRows {
    std::int64_t experts = 0;   // on this rank
    std::int64_t rows = 0;      // padded rows over them
    std::int64_t received = 0;  // tokens received, each once however many experts here it has
};
ExpertRows expert_rows(const PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch);

}  // namespace orrery
