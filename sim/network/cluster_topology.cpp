#include "network/cluster_topology.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

FabricCables cables_of(const ClusterProfile& cluster, const FabricSpec& fabric) {
    FabricCables cables;
    cables.bandwidth = cluster.nic_bandwidth.value * cluster.nic_efficiency.value.value();
    const Seconds across = cluster.nic_latency.value;
    const Seconds leaf = fabric.same_leaf_latency ? fabric.same_leaf_latency->value : across;
    if (leaf > across) {
        throw InputError(fmt::format(
            "cluster {}: fabric.same_leaf_latency: must be at most nic_latency", cluster.name));
    }
    cables.endpoint_latency = leaf / 2.0;
    cables.switch_latency = (across - leaf) / 2.0;
    return cables;
}

void add_fabric(Topology& topology, const ClusterProfile& cluster, const FabricSpec& fabric,
                std::int64_t per_node) {
    const auto all = topology.endpoints;
    const FabricCables cables = cables_of(cluster, fabric);
    if (fabric.kind == "crossbar") {
        add_crossbar(topology, all, cables);
    } else if (fabric.kind == "fat_tree") {
        FatTree tree{.ports = fabric.switch_ports,
                     .layers = fabric.layers,
                     .oversubscription = fabric.oversubscription};
        if (fabric.rails) tree.rails = per_node;
        if (fabric.planes > 1) {
            add_multi_plane(topology, all, fabric.planes, tree, cables);
        } else {
            add_fat_tree(topology, all, tree, cables);
        }
    } else if (fabric.kind == "slim_fly") {
        add_slim_fly(topology, all, fabric.q, cables);
    } else {
        add_dragonfly(topology, all,
                      {.p = fabric.p, .a = fabric.a, .h = fabric.h, .groups = fabric.groups},
                      cables);
    }
}

Topology own_graph(const ClusterProfile& cluster, std::int64_t ranks) {
    Topology topology = read_graph(cluster.fabric->file);
    if (static_cast<std::int64_t>(topology.endpoints.size()) != ranks) {
        throw InputError(fmt::format(
            "cluster {}: nodes x gpus_per_node = {}: the graph {} has {} endpoints and cannot be "
            "rebuilt for another number",
            cluster.name, ranks, cluster.fabric->file.string(), topology.endpoints.size()));
    }
    return topology;
}

}  // namespace

Topology cluster_topology(const ClusterProfile& cluster) {
    const auto nodes = static_cast<std::int64_t>(cluster.nodes.value.value());
    const auto per_node = static_cast<std::int64_t>(cluster.gpus_per_node.value.value());
    Topology topology{.name = cluster.name, .nodes = {}, .links = {}, .endpoints = {}};
    if (cluster.fabric && cluster.fabric->kind == "graph") {
        topology = own_graph(cluster, nodes * per_node);
    } else {
        for (std::int64_t node = 0; node < nodes; ++node) {
            for (std::int64_t gpu = 0; gpu < per_node; ++gpu) {
                topology.add_endpoint(per_node == 1 ? fmt::format("node{}", node)
                                                    : fmt::format("node{}.gpu{}", node, gpu),
                                      static_cast<std::int32_t>(node));
            }
        }
        const auto all = topology.endpoints;
        for (std::int64_t node = 0; per_node > 1 && node < nodes; ++node) {
            add_nvlink_switch(topology,
                              Endpoints(all).subspan(static_cast<std::size_t>(node * per_node),
                                                     static_cast<std::size_t>(per_node)),
                              static_cast<std::int32_t>(node), 1, cluster.nvlink_bandwidth.value,
                              cluster.nvlink_latency.value / 2.0);
        }
        if (cluster.fabric && nodes > 1) add_fabric(topology, cluster, *cluster.fabric, per_node);
    }
    if (nodes > 1 && !cluster.fabric) {
        throw InputError(fmt::format(
            "cluster {}: nodes = {}: the profile has no \"fabric\" to join several nodes",
            cluster.name, nodes));
    }
    if (cluster.fabric) {
        for (const auto& [what, left] : cluster.fabric->fail) degrade(topology, what, left);
    }
    check_connected(topology);
    return topology;
}

}  // namespace orrery
