#pragma once
// Uncontended cost of a communication: latency + bytes over the published rate of the narrowest
// link on its way. The seam for the contended network: the replay only asks for a duration once all
// members have arrived.
//
//   group of n ranks, g of them a node, N = n/g nodes; B the buffer; L = ceil(log2 n) latencies
//   all_gather, reduce_scatter   max(B/g (N-1)/N / nic, B (g-1)/g / nvlink) + L   (hierarchical
//                                rings: g NICs of a node carry disjoint parts); inside a node
//                                B (n-1)/n / nvlink + L, or measured (node_collectives.hpp)
//   all_reduce                   twice that
//   all_to_all                   B = what a rank sends: (n-g)/(n-1) of it over the NIC, the rest
//                                over NVLink, the larger of the two
//   broadcast, send_recv         B over the narrowest link + latency
//   expert dispatch / combine    DeepEP's way: each (token, destination node) pair crosses the NIC
//                                once and fans out over NVLink to the ranks that hold its experts:
//     max(T p d (N-1)/N / nic', T p r / nvlink') + latencies
//     T tokens, p payload bytes, d expected nodes and r expected ranks a token reaches
//
// nic' and nvlink' come from the published table expert_all_to_all, whose rates count (token, node)
// pairs, the own node included: over its rows, the highest rate that each link is seen to carry.
// EP16 sets NVLink's, EP32 the NIC's, and both rows come out exactly. A larger group is derived: at
// N nodes the published rate would read nic' N/(N-1). Both scale with the cluster's bandwidths
// over those the table was measured at.

#include "collective/node_collectives.hpp"
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
    // Throws InputError where the cluster's table expert_all_to_all lacks a column.
    explicit CommunicationCost(ClusterProfile cluster);
    // Throws InputError where the placement or the routing cannot be (ranks_per_node does not
    // divide ranks, more experts a token than there are).
    CommunicationEstimate time(const Communication& op, const GroupPlacement& placement) const;
    const ClusterProfile& cluster() const { return cluster_; }

  private:
    // What each link carries for the expert all-to-all, B/s.
    struct ExpertRates {
        double one_node = 0;       // NVLink, group inside a node: bytes received, own included
        double nvlink = 0;         // NVLink, group across nodes: the same
        double nic = 0;            // bytes that leave the node
        std::int64_t largest = 0;  // ranks of the largest published row
        Origin origin = Origin::assumed;
    };
    struct Times {
        double nic = 0, nvlink = 0, latency = 0;  // s
        double sent = 0;                          // bytes a rank puts on NVLink
    };

    ExpertRates calibrate(bool dispatch) const;
    Times buffer_times(const Communication& op, const GroupPlacement& placement) const;
    CommunicationEstimate expert(const Communication& op, const GroupPlacement& placement) const;
    CommunicationEstimate finish(const Communication& op, const Times& times, Origin origin,
                                 std::string rule) const;

    ClusterProfile cluster_;
    NodeCollectives node_;
    ExpertRates dispatch_, combine_;
};

// Expected number of distinct nodes a token's experts lie on, under uniform routing: `groups` nodes
// (of the expert-parallel group), `top_k` experts, at most `node_limit` nodes (0: no limit). With
// the limit, node_limit nodes are drawn first and the experts are drawn within them.
double expected_destination_nodes(std::int64_t nodes, std::int64_t top_k, std::int64_t experts,
                                  std::int64_t node_limit);
// The same for distinct ranks: `ranks` in the group, spread evenly over `nodes`.
double expected_destination_ranks(std::int64_t ranks, std::int64_t nodes, std::int64_t top_k,
                                  std::int64_t experts, std::int64_t node_limit);

}  // namespace orrery
