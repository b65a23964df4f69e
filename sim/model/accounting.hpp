#pragma once
// Closed-form counts of a model: parameters, FLOPs per token, KV-cache bytes per token, layer by
// layer.
//
// Conventions: multiply-add = 2 FLOP; totals and `active` are the main model with embedding and
// head, MTP apart; training = 3 x forward; embedding lookup costs nothing; norms and biases are
// parameters but not FLOPs. With S tokens a sequence, per token and layer:
//     linear layers   2 x (elements of the matrices the token meets)
//     core attention  2 x heads x (query-key + value width) x keys
//     keys            causal S/2 (a window of w < S: w (S - w/2) / S); non-causal S, or w
// Multi-head latent attention is counted unabsorbed (query-key = nope + rope, value its own width).
// Sparse attention (DeepSeek-V3.2) sees its top-k as a window would, and pays for its indexer:
// 2 x index heads x index width x the keys without a window.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "model/model_spec.hpp"

namespace orrery {

struct ParameterCount {
    std::int64_t total = 0, active = 0;
    std::int64_t embedding = 0, head = 0;  // head: 0 where it shares the embedding's matrix
    std::int64_t attention = 0, dense_mlp = 0, routed_experts = 0, shared_experts = 0, router = 0;
    std::int64_t norms = 0;  // of the residual stream; norms inside attention count as attention
    std::int64_t active_routed_experts = 0;
    // Of all MTP modules, without the shared embedding and head; mtp_active: what one token uses.
    std::int64_t mtp_unique = 0, mtp_active = 0;
};
ParameterCount count_parameters(const ModelSpec& model);

struct LayerAccount {
    std::string kind;  // "dense", "moe"; with " window" where attention has one
    std::int64_t parameters = 0, active = 0;
    double forward_flops = 0;  // per token, causal at the sequence length
    std::int64_t kv_bytes = 0;
};
// One entry a layer of the main model, in order.
std::vector<LayerAccount> account_layers(const ModelSpec& model, std::int64_t sequence_length,
                                         std::int64_t kv_element_bytes = 2);

struct FlopsPerToken {
    double forward = 0, training = 0;                        // causal
    double forward_non_causal = 0, training_non_causal = 0;  // full S x S attention
    double mtp_training = 0;  // causal, extra for MTP modules: eh_proj, layer, second head pass
};
FlopsPerToken flops_per_token(const ModelSpec& model, std::int64_t sequence_length);

// Bytes of KV cache one token occupies over all layers (MTP layers not counted), in layers with a
// sliding window as long as it is inside. The indexer's key of sparse attention is stored as
// DeepSeek-V3.2 does whatever the element size: FP8 with an FP32 scale for 128 (132 bytes).
std::int64_t kv_bytes_per_token(const ModelSpec& model, std::int64_t element_bytes = 2);

// Bytes of all weights in 16 bits, MTP included.
Bytes weight_bytes_bf16(const ModelSpec& model);
// Bytes of all weights as published, MTP with its unique weights: fp8_block keeps linear layers in
// one byte with an FP32 scale a 128x128 block, mxfp4 keeps expert matrices in 4 bits with one byte
// of scale for 32, everything else 16 bits. None for formats not described here.
std::optional<Bytes> weight_bytes_as_published(const ModelSpec& model);

}  // namespace orrery
