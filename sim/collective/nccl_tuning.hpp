#pragma once
// Which algorithm and protocol NCCL takes for a collective: its own model, as in
// src/graph/tuning.cc of NCCL 2.28 (the same in 2.28.3 and 2.28.9), with its constants from the
// cluster's tables.
//
//   n ranks on N nodes, B bytes; s = 2 (n-1) of an all_reduce, else n-1; s' = 2 (N-1) or N-1 of
//   them between nodes
//     time(a, p) = latency + B / bandwidth;   the smallest is taken
//     latency    ring   base + (s - s') max(nvlink, overhead) + s' net;  one GPU a node: tree's net
//                       Simple all_reduce over nodes: x 1.4 (its plateau)
//                tree   base + 2 ((n/N - 1) nvlink + floor(log2 N) net)
//                nvls   nvlink, over nodes (tree of them) + 2 floor(log2 N) net
//     bandwidth  of the bus, times n/s (ring, nvls) or 1/2 (tree), W what the channels carry:
//                ring   LL min(most, W/2);  LL128 min(0.92 W, channels per-channel);  Simple W
//                tree   T = min(0.92 W, channels per-channel): LL min(T/3.8, most);
//                       LL128 min(T 7/9 (one node) or 120/128, channels per-channel);  Simple T;
//                       all times the factor for B's power of two
//                nvls   2 W efficiency (channels - 1)/channels of an all_reduce
//
// Left out: CollNet, PAT (one GPU a node), tuner plug-ins, users' thresholds, several operations in
// one group, GPUs of different kinds.

#include <optional>
#include <vector>

#include "collective/collective_algorithm.hpp"
#include "core/quantity.hpp"
#include "hardware/cluster_profile.hpp"

namespace orrery {

struct NcclEstimate {
    FlowAlgorithm algorithm = FlowAlgorithm::ring;
    FlowProtocol protocol = FlowProtocol::simple;
    Seconds time;  // NCCL's own figure, for choosing: no prediction
};

class NcclTuning {
  public:
    // Of the tables nccl_latency, nccl_rate, nccl_tree and nccl_graph; nullopt where the cluster
    // has none of them. Throws InputError: one is missing, or says something unknown.
    static std::optional<NcclTuning> of(const ClusterProfile& cluster);

    // What it compares, the best first; empty for send_recv and all_to_all, which have no choice.
    // Throws InputError where no nccl_graph has so many ranks of a node.
    std::vector<NcclEstimate> estimates(FlowCollective kind, std::uint32_t ranks,
                                        std::uint32_t ranks_per_node, Bytes bytes) const;

    struct Latency {
        double base = 0, nvlink = 0, net = 0;  // s: once; of a step inside a node, between nodes
    };
    // Throws InputError: nccl_latency has no such row.
    Latency latency(FlowAlgorithm algorithm, FlowProtocol protocol) const;
    // Share of the peak NVLink rate that switch multicast reaches.
    double nvls_efficiency() const { return rates_.front().nvls_efficiency; }

  private:
    struct LatencyRow {
        FlowAlgorithm algorithm;
        FlowProtocol protocol;
        Latency latency;
    };
    struct Rates {  // B/s; all but `ll` of one channel
        double nodes, ll, ring_ll128, tree, tree_ll128, nvls_tree, nvls_efficiency;
    };
    struct Graph {  // what NCCL finds in the machine
        double ranks, channels, ring, tree, nvls_channels;
    };
    struct Factor {
        FlowProtocol protocol;
        double bytes, factor;
    };
    struct Case {
        FlowCollective kind;
        double ranks, nodes, bytes;
        Rates rates;
        Graph graph;
    };

    void read(const ClusterProfile& cluster);
    Case of_case(FlowCollective kind, std::uint32_t ranks, std::uint32_t ranks_per_node,
                 Bytes bytes) const;
    double seconds(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const;
    double bandwidth(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const;
    double delay(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const;
    double tree_factor(FlowProtocol protocol, double bytes) const;

    std::string cluster_;
    std::vector<LatencyRow> latencies_;
    std::vector<Rates> rates_;  // by nodes
    std::vector<Graph> graphs_;
    std::vector<Factor> factors_;
};

// Throw InputError naming `where` and the names there are.
FlowAlgorithm parse_algorithm(const std::string& text, const std::string& where);
FlowProtocol parse_protocol(const std::string& text, const std::string& where);

}  // namespace orrery
