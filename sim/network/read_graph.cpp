#include <map>

#include "core/config.hpp"
#include "network/topology_builders.hpp"

namespace orrery {

namespace {

NodeKind kind_of(const ConfigNode& node) {
    const std::string kind = node.as_string();
    if (kind == "endpoint") return NodeKind::endpoint;
    if (kind == "switch") return NodeKind::fabric;
    if (kind == "nvlink_switch") return NodeKind::nvlink;
    if (kind == "bridge") return NodeKind::bridge;
    node.fail("must be \"endpoint\", \"switch\", \"nvlink_switch\" or \"bridge\"");
}

LinkClass class_of(NodeKind a, NodeKind b) {
    for (const NodeKind kind : {a, b}) {
        if (kind == NodeKind::nvlink) return LinkClass::nvlink;
        if (kind == NodeKind::bridge) return LinkClass::pcie;
    }
    const bool both = a == NodeKind::fabric && b == NodeKind::fabric;
    return both ? LinkClass::fabric : LinkClass::nic;
}

std::uint32_t node_of(const ConfigNode& node, const std::map<std::string, std::uint32_t>& names) {
    const auto at = names.find(node.as_string());
    if (at == names.end()) node.fail("must be the name of one of the nodes");
    return at->second;
}

}  // namespace

Topology read_graph(const std::filesystem::path& file) {
    const ConfigNode root = ConfigNode::load(file);
    Topology topology{.name = file.stem().string(), .nodes = {}, .links = {}, .endpoints = {}};
    std::map<std::string, std::uint32_t> names;
    for (const ConfigNode& node : root.at("nodes").elements()) {
        const std::string name = node.at("name").as_string();
        const NodeKind kind = kind_of(node.at("kind"));
        const bool endpoint = kind == NodeKind::endpoint;
        const std::uint32_t index =
            endpoint ? topology.add_endpoint(name) : topology.add_node({kind, name, 1});
        if (!names.emplace(name, index).second) node.at("name").fail("must be given once");
        node.reject_unknown_keys();
    }
    for (const ConfigNode& link : root.at("links").elements()) {
        const std::uint32_t a = node_of(link.at("a"), names), b = node_of(link.at("b"), names);
        if (a == b) link.at("b").fail("must be another node than a");
        const auto bandwidth = link.at("bandwidth").as_quantity<BytesPerSecond>();
        const auto latency = link.at("latency").as_quantity<Seconds>();
        topology.add_link(a, b, bandwidth, latency,
                          class_of(topology.nodes[a].kind, topology.nodes[b].kind));
        link.reject_unknown_keys();
    }
    root.reject_unknown_keys();
    if (topology.endpoints.size() < 2) root.at("nodes").fail("must hold at least two endpoints");
    check_connected(topology);
    return topology;
}

}  // namespace orrery
