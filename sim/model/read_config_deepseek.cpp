// DeepSeek-V2, V2-Lite, V3, V3.2 and Kimi-K2 (which names DeepSeek-V3's architecture): multi-head
// latent attention, dense layers first, then experts with shared ones. Keys as in
// modeling_deepseek.py and configuration_deepseek.py beside the published weights.

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "model/read_config_families.hpp"

namespace orrery::model_config {

namespace {

AttentionSpec read_latent_attention(const ConfigNode& config, const ModelSpec& model) {
    AttentionSpec spec;
    spec.heads = spec.kv_heads = size_of(config, "num_attention_heads", max_heads);
    MlaSpec mla;
    // null: queries come straight from the hidden state (V2-Lite)
    const std::vector<std::string> keys = config.keys();
    if (std::find(keys.begin(), keys.end(), "q_lora_rank") == keys.end()) config.at("q_lora_rank");
    mla.q_lora_rank = size_or(config, "q_lora_rank", 0);
    mla.kv_lora_rank = size_of(config, "kv_lora_rank");
    mla.qk_nope_head_dim = size_of(config, "qk_nope_head_dim");
    mla.qk_rope_head_dim = size_of(config, "qk_rope_head_dim");
    mla.v_head_dim = size_of(config, "v_head_dim");
    if (model.architecture == "DeepseekV32ForCausalLM") {
        mla.index_heads = size_of(config, "index_n_heads", max_heads);
        mla.index_head_dim = size_of(config, "index_head_dim");
        mla.index_top_k = size_of(config, "index_topk");
        if (mla.q_lora_rank == 0) {
            throw InputError(config.file(), "q_lora_rank", "null",
                             "must be a number: the indexer reads the query latent");
        }
    }
    if (flag_or(config, "attention_bias", false)) {
        config.at("attention_bias").fail("must be false for multi-head latent attention");
    }
    spec.head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
    spec.mla = mla;
    return spec;
}

MoeSpec read_experts(const ConfigNode& config, const ModelSpec& model) {
    MoeSpec moe;
    moe.experts = size_of(config, "n_routed_experts", max_experts);
    moe.top_k = size_of(config, "num_experts_per_tok", moe.experts);
    moe.expert_intermediate = size_of(config, "moe_intermediate_size");
    if (const auto shared = config.find("n_shared_experts")) {
        moe.shared_experts = shared->as_integer(0, 1024);
    }
    moe.shared_expert_intermediate = moe.shared_experts * moe.expert_intermediate;
    moe.groups = size_or(config, "n_group", 1, moe.experts);
    moe.top_k_groups = size_or(config, "topk_group", 1, moe.groups);
    if (moe.experts % moe.groups != 0) {
        config.at("n_group").fail(fmt::format("must divide n_routed_experts = {}", moe.experts));
    }
    if (moe.top_k > moe.top_k_groups * (moe.experts / moe.groups)) {
        config.at("num_experts_per_tok")
            .fail(fmt::format("must be <= {}, the experts in topk_group = {} groups",
                              moe.top_k_groups * (moe.experts / moe.groups), moe.top_k_groups));
    }
    // The score-correction bias belongs to auxiliary-loss-free balancing, V3's default.
    const auto method = config.find("topk_method");
    const bool bias_by_default = model.architecture != "DeepseekV2ForCausalLM";
    moe.router_bias = method ? method->as_string() == "noaux_tc" : bias_by_default;
    return moe;
}

}  // namespace

void read_deepseek(const ConfigNode& config, ModelSpec& model) {
    const std::int64_t layers = layer_count(config);
    LayerSpec dense{.attention = read_latent_attention(config, model),
                    .dense_intermediate = size_of(config, "intermediate_size"),
                    .moe = std::nullopt};
    LayerSpec sparse = dense;
    std::int64_t first_sparse = layers, step = 1;
    if (config.has("n_routed_experts")) {
        sparse.dense_intermediate = 0;
        sparse.moe = read_experts(config, model);
        first_sparse = config.at("first_k_dense_replace").as_integer(0, layers);
        step = size_or(config, "moe_layer_freq", 1, layers);
    }
    for (std::int64_t i = 0; i < layers; ++i) {
        model.layers.push_back(i >= first_sparse && i % step == 0 ? sparse : dense);
    }
    if (const auto modules = config.find("num_nextn_predict_layers")) {
        model.mtp_modules = modules->as_integer(0, 64);
    }
    if (model.mtp_modules > 0) model.mtp_layer = sparse;
}

}  // namespace orrery::model_config
