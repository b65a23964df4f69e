#pragma once
// The topology of a cluster profile: GPUs, NVLink within a node, its fabric between nodes.
//
//   NVLink      nvlink_bandwidth, nvlink_latency / 2 to the logical switch
//   cables      nic_bandwidth nic_efficiency, of all cables of the fabric, so that oversubscription
//               stays what it is
//   latency     endpoint to leaf: same_leaf_latency / 2; switch to switch: (nic_latency -
//               same_leaf_latency) / 2, nic_latency being across two leaves and a spine; without
//               same_leaf_latency: nic_latency / 2 and 0

#include "hardware/cluster_profile.hpp"
#include "network/topology.hpp"

namespace orrery {

// Throws InputError where nodes do not fit the fabric, there are several and no fabric, a failure
// names nothing, or failures disconnect endpoints.
Topology cluster_topology(const ClusterProfile& cluster);

}  // namespace orrery
