#pragma once
// A collective in which every rank does the same, as ONE variable of the flow network: it moves W
// bytes at rate x and uses link l with coefficient a_l = W_l / W, W_l the bytes that all messages
// together put on l and W the largest of them. Where all messages of a step have equal bytes and
// pace, this is what the messages do one by one (2,048 ranks: one flow instead of 67 million).
//
//   ring           W_l: s B / (n g) on every hop of each of g rings, g ranks a node
//   tree           B / 2g on every edge, up and down, of two trees of nodes a GPU of equal index,
//                  joined by a chain inside each node
//   nvls           one node: a rank sends B (1 + 1/n) and receives as much (all_reduce: its parts
//                  of others' sums, and its own sum once), B/n and B (n-1)/n (all_gather), the
//                  other way round (reduce_scatter); over nodes also the two trees with B/g each
//   recursive_doubling   log2 n stages, B on each pair's way
//   hierarchical   stages: reduce_scatter inside the nodes, the collective over ranks of equal
//                  index with B/g, all_gather inside
//   pairwise       send_recv: B to the next rank; all_to_all: B / (n-1) to each other
//
// Left out: what is unequal within a step; it would wait for the slowest, as here.

#include <vector>

#include "collective/flow_collective.hpp"
#include "collective/protocol_costs.hpp"

namespace orrery {

struct SymmetricStage {
    std::vector<RouteHop> route;  // coefficients a_l
    double bytes = 0;             // W
    double latency_ps = 0;        // of the links, all steps one after the other
    ProtocolCosts::Shape shape;   // what is done in it
};

// Stages that follow each other. Throws InputError where the algorithm does not do this kind.
std::vector<SymmetricStage> symmetric_stages(RoutedNetwork& network,
                                             const FlowCollectiveRequest& request,
                                             FlowAlgorithm algorithm);

// Runs a stage from the network's now() on, with `latency` before and at most `cap`.
SimDuration run_stage(RoutedNetwork& network, const SymmetricStage& stage, SimDuration latency,
                      std::optional<BytesPerSecond> cap = std::nullopt);

}  // namespace orrery
