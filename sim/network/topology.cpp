#include "network/topology.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

std::string_view to_string(LinkClass link_class) {
    switch (link_class) {
        case LinkClass::nic:
            return "nic";
        case LinkClass::fabric:
            return "fabric";
        case LinkClass::nvlink:
            return "nvlink";
        case LinkClass::pcie:
            break;
    }
    return "pcie";
}

std::uint32_t Topology::add_node(TopologyNode node) {
    nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(nodes.size() - 1);
}

std::uint32_t Topology::add_endpoint(std::string node_name, std::int32_t group) {
    const std::uint32_t node = add_node({NodeKind::endpoint, std::move(node_name), 0, group});
    endpoints.push_back(node);
    return node;
}

void Topology::add_link(std::uint32_t a, std::uint32_t b, BytesPerSecond bandwidth, Seconds latency,
                        LinkClass link_class) {
    if (a >= nodes.size() || b >= nodes.size() || a == b) {
        throw InputError(fmt::format("topology {}: link {}-{}: must join two of {} nodes", name, a,
                                     b, nodes.size()));
    }
    if (!(bandwidth.value() > 0)) {
        throw InputError(fmt::format("topology {}: link {}-{}: bandwidth must be greater than 0",
                                     name, nodes[a].name, nodes[b].name));
    }
    links.push_back({a, b, bandwidth, latency, link_class});
}

TopologyCounts count(const Topology& topology) {
    TopologyCounts counts;
    counts.endpoints = static_cast<std::int64_t>(topology.endpoints.size());
    for (const TopologyNode& node : topology.nodes) {
        if (node.kind == NodeKind::fabric) counts.switches += node.chips;
        if (node.kind == NodeKind::nvlink) counts.nvlink_switches += node.chips;
    }
    for (const TopologyLink& link : topology.links) {
        counts.switch_links += link.link_class == LinkClass::fabric;
        counts.endpoint_links += link.link_class == LinkClass::nic;
    }
    return counts;
}

void degrade(Topology& topology, const std::string& what, double health) {
    if (!(health >= 0 && health <= 1)) {
        throw InputError(fmt::format("fail: {} = {}: must be from 0 to 1", what, health));
    }
    bool found = false;
    for (TopologyLink& link : topology.links) {
        const std::string& a = topology.nodes[link.a].name;
        const std::string& b = topology.nodes[link.b].name;
        const bool ends = a == what || b == what;
        if (!ends && a + "-" + b != what && b + "-" + a != what) continue;
        link.health = health;
        found = true;
    }
    if (found) return;
    throw InputError(
        fmt::format("fail: \"{}\": is no node or link of topology {}, must be a name "
                    "like \"{}\" or \"{}-{}\"",
                    what, topology.name, topology.nodes.back().name,
                    topology.nodes[topology.links.front().a].name,
                    topology.nodes[topology.links.front().b].name));
}

}  // namespace orrery
