#pragma once
// The families of architectures that share keys; each reads its part of config.json into `model`,
// where hidden, vocabulary and tied_embeddings are already set. Used by read_config.cpp only.

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "model/model_spec.hpp"

namespace orrery::model_config {

// Bounds that keep every count inside 64 bits; no published model comes near them.
inline constexpr std::int64_t max_width = 1 << 22;
inline constexpr std::int64_t max_heads = 1 << 16;
inline constexpr std::int64_t max_experts = 1 << 16;
inline constexpr std::int64_t max_layers = 10'000;

// A required whole number from 1 to `at_most`.
std::int64_t size_of(const ConfigNode& config, std::string_view key,
                     std::int64_t at_most = max_width);
// The same where the key may be missing or null.
std::int64_t size_or(const ConfigNode& config, std::string_view key, std::int64_t otherwise,
                     std::int64_t at_most = max_width);
bool flag_or(const ConfigNode& config, std::string_view key, bool otherwise);
std::int64_t layer_count(const ConfigNode& config);

// num_attention_heads, num_key_value_heads, head_dim.
AttentionSpec read_grouped_attention(const ConfigNode& config, std::int64_t hidden);
// sliding_window and layer_types; use_sliding_window and max_window_layers where the family has
// them.
void apply_sliding_windows(const ConfigNode& config, ModelSpec& model);

void read_deepseek(const ConfigNode& config, ModelSpec& model);  // V2, V3, V3.2, Kimi-K2
void read_dense(const ConfigNode& config, ModelSpec& model);     // Llama, Mistral, Qwen2, Qwen3
void read_mixtral(const ConfigNode& config, ModelSpec& model);
void read_qwen_moe(const ConfigNode& config, ModelSpec& model);  // Qwen2-MoE, Qwen3-MoE
void read_gpt_oss(const ConfigNode& config, ModelSpec& model);

}  // namespace orrery::model_config
