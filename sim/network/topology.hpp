#pragma once
// A network as it is built: endpoints (GPUs or hosts), switches, cables.
//
// A link is one cable or a bundle, full duplex: `bandwidth` each way. A topology is plain data,
// made by a builder (topology_builders.hpp) or an importer, changed by failures, and then frozen:
// its links become capacities of a FlowNetwork, its shortest paths routes (routing.hpp).
//
// Left out: ports, cable lengths, the chips behind one logical NVLink switch (NVLink stripes over
// all of them; `chips` counts them).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/quantity.hpp"

namespace orrery {

enum class NodeKind : std::uint8_t {
    endpoint,  // sends and receives; may forward over NVLink for others of its node
    fabric,    // switch of the network between nodes
    nvlink,    // NVLink switches of one node or rack, as one
    bridge,    // PCIe switch, host bridge, socket
};
enum class LinkClass : std::uint8_t { nic, fabric, nvlink, pcie };
std::string_view to_string(LinkClass link_class);

struct TopologyNode {
    NodeKind kind = NodeKind::endpoint;
    std::string name;
    std::int32_t layer = 0;   // 0: endpoint, 1: leaf, 2: spine, 3: core
    std::int32_t group = -1;  // node, plane, pod or dragonfly group; -1: none
    std::int32_t chips = 1;   // switches that it stands for
};

struct TopologyLink {
    std::uint32_t a = 0, b = 0;  // nodes
    BytesPerSecond bandwidth;    // each way
    Seconds latency;             // one way
    LinkClass link_class = LinkClass::fabric;
    double health = 1.0;  // share of the bandwidth that is left; 0: failed
};

struct Topology {
    std::string name;
    std::vector<TopologyNode> nodes;
    std::vector<TopologyLink> links;
    std::vector<std::uint32_t> endpoints;  // nodes, by rank
    std::vector<std::string> notes = {};   // what a reader should know of how it was built

    std::uint32_t add_node(TopologyNode node);
    std::uint32_t add_endpoint(std::string node_name, std::int32_t group = -1);
    void add_link(std::uint32_t a, std::uint32_t b, BytesPerSecond bandwidth, Seconds latency,
                  LinkClass link_class);
};

struct TopologyCounts {
    std::int64_t endpoints = 0;
    std::int64_t switches = 0;         // of the fabric
    std::int64_t switch_links = 0;     // between those
    std::int64_t endpoint_links = 0;   // NIC to switch
    std::int64_t nvlink_switches = 0;  // chips
};
TopologyCounts count(const Topology& topology);

// Bandwidth between the first and the second half of the endpoints by rank, one way: the maximum
// flow, what single paths may not reach. nullopt for networks of more than 150,000 switch pairs.
std::optional<BytesPerSecond> bisection(const Topology& topology);
// Longest of the shortest paths between switches of the fabric, in links, from `samples` of them
// spread evenly (all where there are fewer).
std::int64_t switch_diameter(const Topology& topology, std::size_t samples = 64);

// Throws InputError unless every endpoint reaches every other one over working links.
void check_connected(const Topology& topology);

// Fails or degrades links: "LINK" names a link as "node-node" or every link of "node". health 0
// fails it. Throws InputError where nothing has that name.
void degrade(Topology& topology, const std::string& what, double health);

}  // namespace orrery
