#pragma once
// Collectives as flows on a cluster's network: what links, latencies and sharing allow, before any
// protocol cost (LL, LL128, Simple) or launch.
//
//   n ranks, B bytes; ranks 0 ... n-1 of the network
//   send_recv        every rank sends B to the next one (as nccl-tests' sendrecv)
//   all_to_all       every rank sends B in total, B / (n-1) to each other rank; `unequal`: B u_ij /
//                    sum_j u_ij, u uniform in [0.5, 1.5) by seed
//     simultaneous   all at once;  unequal likewise
//     shifted        round r = 1 ... n-1: rank i to i + r mod n, each rank one send after the other
//   ring             n-1 steps of chunks B / n (all_gather: B the gathered buffer; reduce_scatter:
//   B
//                    the reduced one); all_reduce both, 2 (n-1) steps. One ring a local GPU, each
//                    with 1/g of the buffer, so that all NICs of a node are used; a rank forwards a
//                    chunk once it has come in and the one before has gone out
//   recursive_doubling   all_reduce: log2 n steps, the whole B with rank i xor 2^k
//
// `bandwidth` is what a rank sends in total over the time: nccl-tests' bus bandwidth for the ring
// collectives, B / time for all_to_all and send_recv.
//
// Left out: reduction work, the protocol's chunks within a step, SMs.

#include <cstdint>
#include <string_view>

#include "network/routed_network.hpp"

namespace orrery {

enum class FlowCollective : std::uint8_t {
    send_recv,
    all_to_all,
    all_gather,
    reduce_scatter,
    all_reduce
};
enum class FlowAlgorithm : std::uint8_t { automatic, ring, recursive_doubling };
enum class AllToAllPattern : std::uint8_t { simultaneous, shifted, unequal };

struct FlowCollectiveRequest {
    FlowCollective kind = FlowCollective::all_to_all;
    std::uint32_t ranks = 2;
    std::uint32_t ranks_per_node = 1;  // consecutive ranks of a node, for the rings
    Bytes bytes;
    AllToAllPattern pattern = AllToAllPattern::simultaneous;
    FlowAlgorithm algorithm = FlowAlgorithm::automatic;  // ring where there is a choice
    std::uint64_t seed = 1;
};

struct FlowCollectiveResult {
    SimDuration time;
    BytesPerSecond bandwidth;
    FlowCounts counts;
};

// What message i to j of an unequal all-to-all weighs among rank i's messages, 0.5 ... 1.5.
double unequal_share(std::uint64_t seed, std::uint32_t ranks, std::uint32_t i, std::uint32_t j);

// Runs it on a network where nothing else is under way, from its now() on. Throws InputError where
// the network has fewer ranks, the algorithm does not do this kind, or recursive doubling meets a
// number of ranks that is no power of two.
FlowCollectiveResult run_collective(RoutedNetwork& network, const FlowCollectiveRequest& request);

}  // namespace orrery
