#pragma once
// Every weight of a model as one row of a list. Parameters, active parameters, FLOPs, bytes as
// shipped and bytes on a rank are sums over this list, so that no dimension is stated twice.

#include <cstdint>
#include <vector>

#include "model/model_spec.hpp"

namespace orrery {

enum class WeightPart : std::uint8_t {
    embedding,
    head,
    attention,  // with the norms inside attention: latent norms of MLA, norms of q and k
    dense_mlp,
    routed_experts,
    shared_experts,
    router,
    norm,            // of the residual stream
    mtp_projection,  // 2h -> h in front of a multi-token prediction layer
};

// How tensor and expert parallelism divide a weight.
enum class WeightSplit : std::uint8_t {
    whole,             // every rank of the tensor group holds it
    tensor,            // 1 / tp
    tensor_by_groups,  // K and V of grouped-query attention: 1 / min(tp, kv_heads)
    expert,            // 1 / ep of the experts, each divided by tp
};

struct Weight {
    const char* name = "";  // as Hugging Face names it: "q_b_proj"
    WeightPart part = WeightPart::attention;
    WeightSplit split = WeightSplit::whole;
    std::int64_t rows = 0;      // output features
    std::int64_t columns = 1;   // input features; 1 for vectors
    std::int64_t copies = 1;    // how many of this shape: experts
    std::int64_t active = 1;    // copies that one token uses
    bool gemm = true;           // multiplies activations; false for embedding rows, norms, biases
    bool splits_input = false;  // tensor parallelism divides columns, not rows (o_proj, down_proj)
    bool shares_input = false;  // multiplies the same activations as the matrix before it
    bool quantized = true;      // an FP8 GEMM in training, stored in FP8 where a model ships in it

    std::int64_t elements() const { return rows * columns * copies; }
    std::int64_t active_elements() const { return rows * columns * active; }
};

// One transformer layer, norms included.
std::vector<Weight> layer_weights(const ModelSpec& model, const LayerSpec& layer);
std::vector<Weight> embedding_weights(const ModelSpec& model);
// Final norm and output head. With tied embeddings the head's matrix is the embedding's: its row
// says so by counting no copies of its own (copies = 0) but being active once.
std::vector<Weight> head_weights(const ModelSpec& model);
// What one MTP module adds in front of and behind its layer: eh_proj, enorm, hnorm, and the norm
// before the shared head (DeepSeek-V3, README_WEIGHTS.md).
std::vector<Weight> mtp_module_weights(const ModelSpec& model);

}  // namespace orrery
