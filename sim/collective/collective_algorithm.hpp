#pragma once
// Names of collectives, their algorithms and NCCL's protocols.

#include <cstdint>
#include <string_view>

namespace orrery {

enum class FlowCollective : std::uint8_t {
    send_recv,
    all_to_all,
    all_gather,
    reduce_scatter,
    all_reduce
};

enum class FlowAlgorithm : std::uint8_t {
    automatic,           // NCCL's choice where the cluster says how NCCL chooses, else the first
    ring,                // all_gather, reduce_scatter, all_reduce
    tree,                // all_reduce: double binary tree between nodes, a chain inside
    nvls,                // the three: sums and copies made by the NVLink switch
    recursive_doubling,  // all_reduce
    hierarchical,        // the three: inside the node, then between GPUs of equal index
    pairwise             // all_to_all and send_recv: every message straight to its rank
};

// How NCCL moves a chunk: 8-byte stores of 4 bytes of data and a flag; 128-byte stores of 120 and a
// flag; plain copies and a flag a chunk. `none`: links and latencies only.
enum class FlowProtocol : std::uint8_t { none, ll, ll128, simple };

std::string_view to_string(FlowCollective kind);      // "all_reduce"
std::string_view to_string(FlowAlgorithm algorithm);  // "ring"
std::string_view to_string(FlowProtocol protocol);    // "LL128"

// 2 (n - 1) of an all_reduce, else n - 1: steps of a ring, in each of which B / n moves.
constexpr std::uint32_t ring_steps(FlowCollective kind, std::uint32_t ranks) {
    return (ranks - 1) * (kind == FlowCollective::all_reduce ? 2 : 1);
}

}  // namespace orrery
