#pragma once
// The architecture of a transformer, as read from a Hugging Face config.json: which blocks each
// layer has and their sizes. Immutable; parameters, FLOPs and KV bytes are computed from it
// elsewhere.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery {

// Multi-head latent attention (DeepSeek): low-rank queries and keys/values, a shared RoPE key.
struct MlaSpec {
    std::int64_t q_lora_rank = 0;  // 0: queries are projected directly
    std::int64_t kv_lora_rank = 0;
    std::int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
    // Sparse attention (DeepSeek V3.2): a light indexer picks `index_top_k` keys a query.
    std::int64_t index_heads = 0, index_head_dim = 0, index_top_k = 0;  // 0: dense attention
};

struct AttentionSpec {
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;  // equal to heads for MHA and MLA
    std::int64_t head_dim = 0;  // per query head (GQA); MLA: nope + rope
    std::optional<MlaSpec> mla;
    bool qkv_bias = false, output_bias = false;
    bool qk_norm = false;             // RMSNorm on each head's q and k (Qwen3)
    bool attention_sinks = false;     // one learned logit a head (GPT-OSS)
    std::int64_t sliding_window = 0;  // tokens a query may look back; 0: all
};

struct MoeSpec {
    std::int64_t experts = 0;  // routed
    std::int64_t top_k = 0;
    std::int64_t shared_experts = 0;              // of expert_intermediate each
    std::int64_t expert_intermediate = 0;         // per routed expert
    std::int64_t shared_expert_intermediate = 0;  // of all shared experts together
    bool shared_expert_gate = false;              // Qwen2-MoE: sigmoid gate on the shared expert
    std::int64_t groups = 1, top_k_groups = 1;    // node-limited routing
    bool router_bias = false;                     // score-correction bias (DeepSeek-V3)
    bool router_linear_bias = false, expert_bias = false;  // GPT-OSS
};

struct LayerSpec {
    AttentionSpec attention;
    std::int64_t dense_intermediate = 0;  // gated MLP; 0 for a MoE layer
    std::optional<MoeSpec> moe;
};

struct ModelSpec {
    std::string name;
    std::string architecture;  // "DeepseekV3ForCausalLM"
    std::int64_t hidden = 0;
    std::int64_t vocabulary = 0;
    bool tied_embeddings = false;
    std::vector<LayerSpec> layers;
    // Multi-token prediction modules, each one transformer layer plus a 2h -> h projection and
    // three norms; embedding and head are shared with the main model.
    std::int64_t mtp_modules = 0;
    std::optional<LayerSpec> mtp_layer;
    std::string weight_format = "bf16";  // as published: bf16, fp16, fp8_block, mxfp4, ...
};

}  // namespace orrery
