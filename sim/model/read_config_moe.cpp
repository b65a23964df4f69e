// Mixtral, Qwen2-MoE, Qwen3-MoE and GPT-OSS: grouped-query attention and routed experts. Keys and
// defaults as in the configuration classes of transformers.

#include <algorithm>
#include <set>

#include "model/read_config_families.hpp"

namespace orrery::model_config {

namespace {

// Layers that keep a dense MLP: mlp_only_layers, and those decoder_sparse_step passes over.
std::vector<bool> sparse_layers(const ConfigNode& config) {
    const std::int64_t layers = layer_count(config);
    const std::int64_t step = size_or(config, "decoder_sparse_step", 1, layers);
    std::set<std::int64_t> dense;
    if (const auto only = config.find("mlp_only_layers")) {
        for (const ConfigNode& layer : only->elements()) {
            dense.insert(layer.as_integer(0, layers - 1));
        }
    }
    std::vector<bool> sparse;
    for (std::int64_t i = 0; i < layers; ++i) {
        sparse.push_back(!dense.contains(i) && (i + 1) % step == 0);
    }
    return sparse;
}

}  // namespace

void read_mixtral(const ConfigNode& config, ModelSpec& model) {
    LayerSpec layer;
    layer.attention = read_grouped_attention(config, model.hidden);
    MoeSpec moe;
    moe.experts = size_of(config, "num_local_experts", max_experts);
    moe.top_k = size_of(config, "num_experts_per_tok", moe.experts);
    moe.expert_intermediate = size_of(config, "intermediate_size");
    layer.moe = moe;
    model.layers.assign(static_cast<std::size_t>(layer_count(config)), layer);
    apply_sliding_windows(config, model);
}

void read_qwen_moe(const ConfigNode& config, ModelSpec& model) {
    const bool third = model.architecture == "Qwen3MoeForCausalLM";
    LayerSpec dense;
    dense.attention = read_grouped_attention(config, model.hidden);
    dense.attention.qk_norm = third;
    // Qwen2-MoE always has biases on q, k and v; Qwen3-MoE names them.
    dense.attention.qkv_bias =
        third ? flag_or(config, "attention_bias", false) : flag_or(config, "qkv_bias", true);
    dense.attention.output_bias = third && dense.attention.qkv_bias;

    LayerSpec sparse = dense;
    MoeSpec moe;
    moe.experts = size_of(config, "num_experts", max_experts);
    moe.top_k = size_of(config, "num_experts_per_tok", moe.experts);
    moe.expert_intermediate = size_of(config, "moe_intermediate_size");
    if (!third) {
        moe.shared_experts = 1;
        moe.shared_expert_intermediate = size_of(config, "shared_expert_intermediate_size");
        moe.shared_expert_gate = true;
    }
    sparse.moe = moe;

    const std::vector<bool> is_sparse = sparse_layers(config);
    // intermediate_size is the dense MLP's: needed only where there is one.
    if (std::find(is_sparse.begin(), is_sparse.end(), false) != is_sparse.end()) {
        dense.dense_intermediate = size_of(config, "intermediate_size");
    }
    for (const bool has_experts : is_sparse) model.layers.push_back(has_experts ? sparse : dense);
    apply_sliding_windows(config, model);
}

void read_gpt_oss(const ConfigNode& config, ModelSpec& model) {
    LayerSpec layer;
    layer.attention = read_grouped_attention(config, model.hidden);
    layer.attention.qkv_bias = layer.attention.output_bias =
        flag_or(config, "attention_bias", true);
    layer.attention.attention_sinks = true;
    MoeSpec moe;
    moe.experts = size_of(config, "num_local_experts", max_experts);
    moe.top_k = config.has("num_experts_per_tok")
                    ? size_of(config, "num_experts_per_tok", moe.experts)
                    : size_of(config, "experts_per_token", moe.experts);
    moe.expert_intermediate = size_of(config, "intermediate_size");
    moe.router_linear_bias = moe.expert_bias = true;
    layer.moe = moe;
    model.layers.assign(static_cast<std::size_t>(layer_count(config)), layer);
    if (config.has("layer_types")) {
        apply_sliding_windows(config, model);
        return;
    }
    for (std::size_t i = 0; i < model.layers.size(); i += 2) {  // the even ones slide
        model.layers[i].attention.sliding_window = size_of(config, "sliding_window");
    }
}

}  // namespace orrery::model_config
