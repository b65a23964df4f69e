#pragma once
// The algorithms behind run_collective, one file each. All return the time on an idle network.

#include "collective/flow_collective.hpp"

namespace orrery {

SimDuration run_send_recv(RoutedNetwork& network, const FlowCollectiveRequest& request);
SimDuration run_all_to_all(RoutedNetwork& network, const FlowCollectiveRequest& request);
// all_gather, reduce_scatter, all_reduce.
SimDuration run_ring(RoutedNetwork& network, const FlowCollectiveRequest& request);
SimDuration run_recursive_doubling(RoutedNetwork& network, const FlowCollectiveRequest& request);
SimDuration run_tree(RoutedNetwork& network, const FlowCollectiveRequest& request);

// Throws InputError where the algorithm does not do this kind.
void check_algorithm(FlowCollective kind, FlowAlgorithm algorithm);

}  // namespace orrery
