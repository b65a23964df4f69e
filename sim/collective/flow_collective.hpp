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
//   tree             all_reduce: two trees of all ranks (leaves of one are inner nodes of the
//                    other), B / 2 each in chunks of 4 MiB: summed on the way up, copied down
//
// Message by message, or each step's messages as one variable (symmetric_collective.hpp, which also
// has the algorithms that are not listed here); which, is part of the request.
//
// `bandwidth` is what a rank sends in total over the time: nccl-tests' bus bandwidth for the ring
// collectives, B / time for all_to_all and send_recv.
//
// Left out: reduction work, the protocol's chunks within a step, SMs.

#include <cstdint>
#include <optional>

#include "collective/collective_algorithm.hpp"
#include "network/routed_network.hpp"

namespace orrery {

enum class AllToAllPattern : std::uint8_t { simultaneous, shifted, unequal };
// `automatic`: one variable for nvls and hierarchical, else messages.
enum class FlowExpansion : std::uint8_t { automatic, messages, one };

struct FlowCollectiveRequest {
    FlowCollective kind = FlowCollective::all_to_all;
    std::uint32_t ranks = 2;
    std::uint32_t ranks_per_node = 1;  // consecutive ranks of a node, for the rings
    Bytes bytes;
    AllToAllPattern pattern = AllToAllPattern::simultaneous;
    FlowAlgorithm algorithm = FlowAlgorithm::automatic;  // ring where there is a choice
    std::optional<FlowProtocol> protocol = {};           // of NCCL; not used by run_collective
    FlowExpansion expansion = FlowExpansion::automatic;
    std::uint64_t seed = 1;
};

struct FlowCollectiveResult {
    SimDuration time;
    BytesPerSecond bandwidth;
    FlowCounts counts;
    FlowAlgorithm algorithm = FlowAlgorithm::ring;  // that was run
    FlowProtocol protocol = FlowProtocol::none;
};

// What message i to j of an unequal all-to-all weighs among rank i's messages, 0.5 ... 1.5.
double unequal_share(std::uint64_t seed, std::uint32_t ranks, std::uint32_t i, std::uint32_t j);

// Runs it on a network where nothing else is under way, from its now() on. Throws InputError where
// the network has fewer ranks, the algorithm does not do this kind, or recursive doubling meets a
// number of ranks that is no power of two.
FlowCollectiveResult run_collective(RoutedNetwork& network, const FlowCollectiveRequest& request);

// Throws InputError: too many or too few ranks, bytes out of range.
void check_request(const RoutedNetwork& network, const FlowCollectiveRequest& request);
// What one rank sends in total, bytes: `bandwidth` counts it.
double sent_by_rank(const FlowCollectiveRequest& request);

}  // namespace orrery
