#pragma once
// How long an engine takes from the moment it is started (by autoscaling, or again after a failure)
// until it serves.
//
//   w   bytes of weights that a node of the engine holds: a GPU's x GPUs of the engine on the node
//   s   of them as stored: w, or w F / B where FP8 is stored and BF16 runs
//   F, B  bytes of the whole model in FP8 and in BF16;  n  nodes of the engine
//
//   read      s / storage bandwidth of a node
//   store     n s / bandwidth of the store behind all nodes, one engine after the other; the read
//             ends when both are through
//   convert   as stored    0
//             on load      each GPU dequantizes what it holds: (its F + B) / copy bandwidth
//             offline      DeepSeek-V3's inference/fp8_cast_bf16.py, file by file on one GPU of
//             each
//                          node before the read, which then is of BF16:
//                          F / storage bandwidth + (F + B) / copy bandwidth + B / write bandwidth
//   warm-up   processes, communicators, CUDA graphs: an input
//
// What BF16 takes of the memory, and so of the KV cache, follows from the engine's precision.
// Left out: ranks that share what they read (each reads what it holds), reading beside converting,
// a page cache that holds the weights already, compiling kernels.

#include <algorithm>

#include "core/time.hpp"
#include "serving/deployment.hpp"

namespace orrery {

enum class WeightConversion : std::uint8_t { none, on_load, offline };

struct StartupInputs {
    // Of a node; 0: reading takes no time. `write` is of offline conversion; `store` of all nodes
    // together, 0: it is not the limit.
    BytesPerSecond storage = BytesPerSecond(0), write = BytesPerSecond(0),
                   store = BytesPerSecond(0);
    WeightConversion conversion = WeightConversion::none;
    SimDuration warm_up = {};
};

struct Startup {
    SimDuration read = {}, store = {}, convert = {}, warm_up = {};
    Bytes node_bytes = Bytes(0);  // s
    bool convert_first = false;   // before the read

    // Where nothing else is read from the store.
    SimDuration alone() const { return std::max(read, store) + convert + warm_up; }
};

// The weights of one of the pool's GPUs are the item "weights" of its memory.
Startup plan_startup(const DeployedPool& pool, const StartupInputs& inputs);

// Where a scenario names no warm-up.
Sourced<Seconds> default_warm_up();

}  // namespace orrery
