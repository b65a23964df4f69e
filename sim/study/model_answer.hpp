#pragma once
// What a model's config.json says, counted: parameters, FLOPs and KV bytes per token, bytes of the
// weights, layer by layer.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/accounting.hpp"
#include "model/model_spec.hpp"

namespace orrery {

// How the KV cache is stored.
struct KvType {
    std::string name;  // "bf16", "fp16", "fp8", "fp32"
    std::int64_t bytes = 2;
};
// Throws InputError naming the types there are.
KvType parse_kv_type(std::string_view name);

// Layers that count the same.
struct LayerGroup {
    LayerAccount account;             // of one of them
    std::vector<std::size_t> layers;  // ascending
};

struct ModelAnswer {
    ModelSpec model;
    std::int64_t sequence_length = 4096;
    KvType kv_type;
    ParameterCount parameters;
    FlopsPerToken flops;
    std::int64_t kv_bytes_per_token = 0;
    // Of one sequence of sequence_length; layers with a sliding window keep that many tokens.
    std::int64_t kv_bytes_per_sequence = 0;
    Bytes weights_bf16;                         // MTP included
    std::optional<Bytes> weights_as_published;  // in the file's own format, where it is known
    std::vector<LayerAccount> layers;
    std::vector<LayerGroup> groups;  // in the order of their first layers
};

// Throws InputError for a file that cannot be read, and for a sequence length that is not from 1 to
// 2^30.
ModelAnswer answer_model(const std::filesystem::path& config, std::int64_t sequence_length,
                         const KvType& kv_type);

// "0-2", "0, 2, 4, ..., 34": ranges and even spacings shortened.
std::string layer_list(const std::vector<std::size_t>& layers);

}  // namespace orrery
