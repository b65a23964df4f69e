#pragma once
// Topologies by name, one file each. Ranks are numbered node by node: endpoint n g + i is GPU i of
// node n, its NIC rail i.

#include <cstdint>
#include <filesystem>
#include <span>

#include "network/topology.hpp"

namespace orrery {

// Rates and latencies of the two kinds of cables of a fabric.
struct FabricCables {
    BytesPerSecond bandwidth = BytesPerSecond(50e9);  // one way, of every cable
    Seconds endpoint_latency = Seconds(0);            // endpoint to leaf switch, one way
    Seconds switch_latency = Seconds(0);              // switch to switch
};

// Every builder of a fabric attaches the given endpoints, which are already in the topology, and
// throws InputError where that many do not fit.
using Endpoints = std::span<const std::uint32_t>;

// One switch that never blocks.
void add_crossbar(Topology& topology, Endpoints endpoints, const FabricCables& cables);

// Leaves and spines, or leaves, aggregation and cores, of switches with `ports` ports each.
struct FatTree {
    std::int64_t ports = 64;
    std::int64_t layers = 2;      // 2 or 3
    double oversubscription = 1;  // a leaf's ports down over its ports up
    // A leaf takes the endpoints of equal rail of consecutive nodes; 1: endpoints in order.
    std::int64_t rails = 1;
    std::int32_t plane = -1;  // number in names where there are several
};
void add_fat_tree(Topology& topology, Endpoints endpoints, const FatTree& tree,
                  const FabricCables& cables);

// `planes` separate fat trees; endpoint i is in plane i mod planes.
void add_multi_plane(Topology& topology, Endpoints endpoints, std::int64_t planes, FatTree tree,
                     const FabricCables& cables);

// McKay-Miller-Siran graph of 2 q^2 switches, network degree (3q - d)/2 with q = 4w + d, and
// ceil(degree / 2) endpoints a switch. Diameter 2 where q is a prime power; other q (the published
// 28) take arithmetic modulo q: same counts, and a note.
void add_slim_fly(Topology& topology, Endpoints endpoints, std::int64_t q,
                  const FabricCables& cables);
std::int64_t slim_fly_endpoints(std::int64_t q);

// Groups of `a` switches, all joined to each other; p endpoints and h cables to other groups each.
struct Dragonfly {
    std::int64_t p = 16, a = 32, h = 16, groups = 511;
};
void add_dragonfly(Topology& topology, Endpoints endpoints, const Dragonfly& dragonfly,
                   const FabricCables& cables);

// The NVLink switches of one node or rack as one logical switch of so many chips.
void add_nvlink_switch(Topology& topology, Endpoints endpoints, std::int32_t group,
                       std::int32_t chips, BytesPerSecond bandwidth, Seconds latency);

// A user's own graph: {"nodes": [{"name", "kind": "endpoint|switch"}...], "links": [{"a", "b",
// "bandwidth", "latency"}...]}. Throws InputError naming file, key, value, rule.
Topology read_graph(const std::filesystem::path& file);

// The networks that are known by name, at their published or full size: "ft2", "mpft", "ft3",
// "slim_fly", "dragonfly", "nvswitch", "nvl72", "crossbar". Throws InputError for another name.
Topology named_topology(const std::string& name);
std::vector<std::string> topology_names();

}  // namespace orrery
