#pragma once
// Models written down by hand from their published configurations, for tests that need no file.

#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"

namespace orrery::test {

inline AttentionSpec attention(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim) {
    AttentionSpec spec;
    spec.heads = heads;
    spec.kv_heads = kv_heads;
    spec.head_dim = head_dim;
    return spec;
}

inline ModelSpec named(const char* name, const char* architecture, std::int64_t hidden,
                       std::int64_t vocabulary) {
    ModelSpec model;
    model.name = name;
    model.architecture = architecture;
    model.hidden = hidden;
    model.vocabulary = vocabulary;
    return model;
}

// deepseek-ai/DeepSeek-V3, config.json.
inline ModelSpec deepseek_v3() {
    ModelSpec model = named("DeepSeek-V3", "DeepseekV3ForCausalLM", 7168, 129280);
    LayerSpec dense;
    dense.attention = attention(128, 128, 192);
    dense.attention.mla = MlaSpec{.q_lora_rank = 1536,
                                  .kv_lora_rank = 512,
                                  .qk_nope_head_dim = 128,
                                  .qk_rope_head_dim = 64,
                                  .v_head_dim = 128};
    LayerSpec moe = dense;
    dense.dense_intermediate = 18432;
    moe.moe = MoeSpec{.experts = 256,
                      .top_k = 8,
                      .shared_experts = 1,
                      .expert_intermediate = 2048,
                      .shared_expert_intermediate = 2048,
                      .groups = 8,
                      .top_k_groups = 4,
                      .router_bias = true};
    model.layers.assign(3, dense);
    model.layers.insert(model.layers.end(), 58, moe);
    model.mtp_modules = 1;
    model.mtp_layer = moe;
    model.weight_format = "fp8_block";
    return model;
}

// DeepSeek-V3's training plan as the report gives it; stages are left empty.
inline ParallelPlan deepseek_v3_plan() {
    ParallelPlan plan;
    plan.pp = 16;
    plan.dp = 128;
    plan.ep = 64;
    plan.schedule = "dualpipe";
    plan.precision = Precision::fp8_block;
    plan.recompute = {.norm = true, .mla_up_projection = true, .swiglu = true};
    return plan;
}

// meta-llama/Llama-3.1-8B, config.json.
inline ModelSpec llama3_8b() {
    ModelSpec model = named("Llama-3.1-8B", "LlamaForCausalLM", 4096, 128256);
    LayerSpec layer;
    layer.attention = attention(32, 8, 128);
    layer.dense_intermediate = 14336;
    model.layers.assign(32, layer);
    return model;
}

// mistralai/Mixtral-8x7B-v0.1, config.json.
inline ModelSpec mixtral_8x7b() {
    ModelSpec model = named("Mixtral-8x7B", "MixtralForCausalLM", 4096, 32000);
    LayerSpec layer;
    layer.attention = attention(32, 8, 128);
    layer.moe = MoeSpec{.experts = 8, .top_k = 2, .expert_intermediate = 14336};
    model.layers.assign(32, layer);
    return model;
}

}  // namespace orrery::test
