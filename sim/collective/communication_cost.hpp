#pragma once
// Uncontended cost of a communication: latency + bytes over the published rate of the narrowest
// link on its way. The seam for the contended network: the replay only asks for a duration once all
// members have arrived.
//
//   ring all_gather / reduce_scatter of B bytes over n ranks: (n-1) steps; B (n-1)/n leave each
//   rank all_reduce: both. Groups inside one node use NVLink; groups across nodes cross the NICs:
//   with g ranks of the group a node, g NICs carry disjoint parts (hierarchical rings). expert
//   dispatch: each (token, destination node) pair once over the NIC, then NVLink fan-out; the rate
//   is DeepEP's published one for that expert-parallel size.

#include "core/sourced.hpp"
#include "hardware/accelerator_profile.hpp"
#include "hardware/cluster_profile.hpp"
#include "hardware/operator.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

// How the members of a group lie on nodes: ranks_per_node of the group share a node.
struct GroupPlacement {
    std::int64_t ranks = 1;
    std::int64_t ranks_per_node = 1;
};

struct CommunicationEstimate {
    Seconds time;                   // once every member has arrived
    BytesPerSecond memory_traffic;  // device-memory traffic it causes on each member meanwhile
    Origin origin = Origin::assumed;
    std::string rule;
};

class CommunicationCost {
  public:
    explicit CommunicationCost(ClusterProfile cluster);
    CommunicationEstimate time(const Communication& op, const GroupPlacement& placement) const;
    const ClusterProfile& cluster() const { return cluster_; }

  private:
    ClusterProfile cluster_;
};

// Expected number of distinct nodes a token's experts lie on, under uniform routing: `groups` nodes
// (of the expert-parallel group), `top_k` experts, at most `node_limit` nodes (0: no limit). With
// the limit, node_limit nodes are drawn first and the experts are drawn within them.
double expected_destination_nodes(std::int64_t nodes, std::int64_t top_k, std::int64_t experts,
                                  std::int64_t node_limit);

}  // namespace orrery
