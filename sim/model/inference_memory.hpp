#pragma once
// Bytes a rank of an inference engine holds: weights in the plan's precision, buffers of one
// iteration, KV cache of a token. What is left of the device is the KV cache's.
//
//   weights   linear layers 2 B (BF16), 1 B and a FP32 scale for 128 x 128 (fp8_block), 1 B
//             (fp8_tensor), 1 B and a BF16 scale a row (INT8), 1/2 B and a BF16 scale for 128
//             (INT4); embedding, head, router and norms 2 B. Latent attention's two up-projections
//             are kept a second time in BF16 for the absorbed form where the layer's are not BF16.
//   KV        a token and layer: latent + RoPE features, whole on every rank of a tensor group;
//             grouped queries: keys and values of the rank's heads. Beside it the sparse indexer's
//             key, 132 B. An MTP module that drafts has a layer's KV, too.
//   iteration, estimated: residual and its norm (4 B a feature) + the largest of
//             attention          2 B x T x (queries + expanded keys and values + outputs)
//             MLP or experts     rows x (input in linear precision + 2 x 2 I + output 2 B)
//             logits             6 B x rows sampled x vocabulary / tp
//             low latency        the expert buffers have room for every token of the group at each
//                                expert: slots x (ep x most tokens) rows
//   all-to-all buffers  normal: DeepEP's default staging (memory_static.cpp);
//             low latency, DeepEP csrc/config.hpp: two of
//                 slots x tokens x (message + BF16 token)    sent and received
// Left out: fragmentation, and caches shorter than the context in layers with a sliding window.

#include <vector>

#include "model/inference_lowering.hpp"
#include "model/memory.hpp"

namespace orrery {

// What an engine is sized for.
struct InferenceLimits {
    std::int64_t prefill_tokens = 0;  // of an iteration with prompts, an attention group
    std::int64_t decode_tokens = 0;   // queries of an iteration without
    std::int64_t prompts = 1;         // sampled in an iteration with prompts
    std::int64_t slots = 0;           // of experts, over the whole group; 0: one an expert
    bool drafts = false;              // an MTP module runs
    bool low_latency = false;         // iterations without prompts use the low-latency all-to-all
};

// Bytes of one element of a linear layer's weight with its share of scales, [rows, columns].
double weight_element_bytes(Precision precision, std::int64_t rows, std::int64_t columns);
// Bytes of all weights in a precision, MTP modules included where `drafts`.
Bytes inference_weights(const ModelSpec& model, Precision precision, bool drafts);

// Of the rank of the fullest stage: weights, activations, buffers; without the KV cache.
std::vector<MemoryItem> inference_memory(const ModelSpec& model, const InferencePlan& plan,
                                         const InferenceLimits& limits);
// Bytes that one token's KV takes on a rank of the fullest stage.
double kv_bytes_on_rank(const ModelSpec& model, const InferencePlan& plan, bool drafts);

}  // namespace orrery
