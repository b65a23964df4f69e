#pragma once
// What serving a model takes: weights by precision, KV cache, fewest nodes of a cluster.
//
// A node's GPUs are one tensor group; nodes are pipeline stages (a model's heads need not divide by
// 24 GPUs, its layers need not divide at all). Beside weights a GPU keeps 2 GB of runtime and the
// activations of an iteration of 2,048 tokens.

#include <filesystem>
#include <string>
#include <vector>

#include "model/inference_memory.hpp"
#include "model/model_spec.hpp"

namespace orrery {

struct ServeRow {
    std::string precision;
    Bytes weights;                                 // of the whole model
    std::int64_t nodes = 0;                        // fewest; 0: more than the model's layers or 64
    std::int64_t tokens_bf16 = 0, tokens_fp8 = 0;  // KV cache on that many, in either precision
};

struct ServeAnswer {
    std::string model, accelerator;
    Bytes memory;
    std::int64_t gpus_per_node = 8, context = 131072;
    double kv_bf16 = 0, kv_fp8 = 0;  // bytes a token over all layers
    std::vector<ServeRow> rows;
};

// `cluster`: a profile's name or path. For sequences of `context` tokens: room for one of them is
// asked for. Throws InputError: a file that cannot be read, context below 1.
ServeAnswer answer_serve(const std::filesystem::path& config, const std::string& cluster,
                         const std::filesystem::path& profiles, std::int64_t context);

// Fewest nodes of `per_node` GPUs with room for one sequence; 0 where `most` are not enough.
std::int64_t least_nodes(const ModelSpec& model, Precision precision, Bytes memory,
                         std::int64_t per_node, std::int64_t context, std::int64_t most);

}  // namespace orrery
