#pragma once
// The network between a cluster's nodes, as its profile describes it (hw_profiles/README.md).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/sourced.hpp"

namespace orrery {

struct FabricSpec {
    std::string kind;  // "crossbar", "fat_tree", "slim_fly", "dragonfly" or "graph"
    // fat_tree
    std::int64_t switch_ports = 64;
    std::int64_t layers = 2;
    std::int64_t planes = 1;  // separate trees; NIC i is in plane i mod planes
    bool rails = false;       // a leaf takes the NICs of equal index
    double oversubscription = 1;
    std::int64_t q = 0;                            // slim_fly
    std::int64_t p = 0, a = 0, h = 0, groups = 0;  // dragonfly
    std::filesystem::path file;                    // graph
    // End to end between two NICs of one leaf switch; without it no switch adds latency.
    std::optional<Sourced<Seconds>> same_leaf_latency;
    // What has failed or lost bandwidth: a node, or a link as "node-node".
    struct Failure {
        std::string what;
        double left = 0;  // share of the bandwidth, 0: failed
    };
    std::vector<Failure> fail;
    Provenance from;
};

// Throws InputError naming file, key, value, rule. Paths are relative to `directory`.
FabricSpec read_fabric(const ConfigNode& node, const std::filesystem::path& directory);

}  // namespace orrery
