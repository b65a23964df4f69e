#pragma once
// Closed-form counts of a model: parameters, FLOPs per token, KV-cache bytes per token, layer by
// layer. Conventions: multiply-add = 2 FLOP; totals and `active` are the main model with embedding
// and head, MTP apart; training = 3 x forward; embedding lookup costs nothing; norms are not
// counted as FLOPs.

#include <cstdint>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "model/model_spec.hpp"

namespace orrery {

struct ParameterCount {
    std::int64_t total = 0, active = 0;
    std::int64_t embedding = 0, head = 0, attention = 0, dense_mlp = 0, routed_experts = 0,
                 shared_experts = 0, router = 0, norms = 0;
    std::int64_t active_routed_experts = 0;
    std::int64_t mtp_unique = 0,
                 mtp_active = 0;  // of MTP modules, without shared embedding and head
};
ParameterCount count_parameters(const ModelSpec& model);

struct LayerAccount {
    std::string kind;  // "dense", "moe"
    std::int64_t parameters = 0, active = 0;
    double forward_flops = 0;  // per token, causal at the sequence length
    std::int64_t kv_bytes = 0;
};
std::vector<LayerAccount> account_layers(const ModelSpec& model, std::int64_t sequence_length,
                                         std::int64_t kv_element_bytes = 2);

struct FlopsPerToken {
    double forward = 0, training = 0;                        // causal
    double forward_non_causal = 0, training_non_causal = 0;  // full S x S attention
    double mtp_training = 0;                                 // causal, extra for MTP modules
};
FlopsPerToken flops_per_token(const ModelSpec& model, std::int64_t sequence_length);

// Bytes of KV cache one token occupies over all layers (MTP layers not counted).
std::int64_t kv_bytes_per_token(const ModelSpec& model, std::int64_t element_bytes = 2);

}  // namespace orrery
