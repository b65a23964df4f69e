// Llama 1-3, Mistral, Qwen2, Qwen2.5 and Qwen3 without experts: grouped-query attention and a gated
// MLP in every layer. Keys and defaults as in the configuration classes of transformers.

#include <fmt/format.h>

#include "model/read_config_families.hpp"

namespace orrery::model_config {

namespace {

bool is_qwen(const ModelSpec& model) { return model.architecture.starts_with("Qwen"); }

// Without layer_types: Qwen slides from max_window_layers on where use_sliding_window is set,
// Mistral everywhere; Llama never.
std::int64_t first_sliding_layer(const ConfigNode& config, const ModelSpec& model) {
    const std::int64_t never = static_cast<std::int64_t>(model.layers.size());
    if (!config.has("sliding_window") || model.architecture == "LlamaForCausalLM") return never;
    if (!is_qwen(model)) return 0;
    if (!flag_or(config, "use_sliding_window", false)) return never;
    const auto from = config.find("max_window_layers");
    return from ? from->as_integer(0) : never;
}

void apply_layer_types(const ConfigNode& types, const ConfigNode& config, ModelSpec& model) {
    const std::vector<ConfigNode> names = types.elements();
    if (names.size() != model.layers.size()) {
        types.fail(fmt::format("must have an entry for each of the {} layers, has {}",
                               model.layers.size(), names.size()));
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string name = names[i].as_string();
        if (name == "sliding_attention") {
            model.layers[i].attention.sliding_window =
                size_of(config, "sliding_window", std::int64_t{1} << 40);
        } else if (name != "full_attention") {
            names[i].fail("must be full_attention or sliding_attention");
        }
    }
}

}  // namespace

AttentionSpec read_grouped_attention(const ConfigNode& config, std::int64_t hidden) {
    AttentionSpec spec;
    spec.heads = size_of(config, "num_attention_heads", max_heads);
    spec.kv_heads = size_or(config, "num_key_value_heads", spec.heads, spec.heads);
    if (spec.heads % spec.kv_heads != 0) {
        config.at("num_key_value_heads")
            .fail(fmt::format("must divide num_attention_heads = {}", spec.heads));
    }
    if (!config.has("head_dim") && hidden % spec.heads != 0) {
        config.at("num_attention_heads")
            .fail(fmt::format("must divide hidden_size = {} where head_dim is not given", hidden));
    }
    spec.head_dim = size_or(config, "head_dim", hidden / spec.heads);
    return spec;
}

void apply_sliding_windows(const ConfigNode& config, ModelSpec& model) {
    if (const auto types = config.find("layer_types")) {
        apply_layer_types(*types, config, model);
        return;
    }
    const auto first = static_cast<std::size_t>(first_sliding_layer(config, model));
    for (std::size_t i = first; i < model.layers.size(); ++i) {
        model.layers[i].attention.sliding_window =
            size_of(config, "sliding_window", std::int64_t{1} << 40);
    }
}

void read_dense(const ConfigNode& config, ModelSpec& model) {
    LayerSpec layer;
    layer.attention = read_grouped_attention(config, model.hidden);
    layer.attention.qk_norm = model.architecture == "Qwen3ForCausalLM";
    const bool bias = flag_or(config, "attention_bias", false);
    layer.attention.qkv_bias = bias || model.architecture == "Qwen2ForCausalLM";
    layer.attention.output_bias = bias && model.architecture != "Qwen2ForCausalLM";
    layer.dense_intermediate = size_of(config, "intermediate_size");
    if (flag_or(config, "mlp_bias", false)) config.at("mlp_bias").fail("must be false");
    model.layers.assign(static_cast<std::size_t>(layer_count(config)), layer);
    apply_sliding_windows(config, model);
}

}  // namespace orrery::model_config
