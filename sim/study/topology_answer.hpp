#pragma once
// What `orrery topology` shows: counts, link classes, bisection, cost, beside the published table.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "network/network_cost.hpp"
#include "network/topology.hpp"

namespace orrery {

struct LinkClassAnswer {
    std::string name;  // "nic", "fabric", "nvlink", "pcie"
    std::int64_t links = 0, failed = 0;
    BytesPerSecond lowest, highest;  // each way, of those that work
};

// Table 3 of "Insights into DeepSeek-V3" (arXiv:2505.09343v2); compared with, never used.
struct PublishedTopology {
    std::int64_t endpoints, switches, switch_links;
    double cost_musd;
    const char* citation;
};

struct TopologyAnswer {
    std::string name, title;
    TopologyCounts counts;
    std::int64_t diameter = 0;  // between switches, in links, from 64 of them
    std::optional<BytesPerSecond> bisection;
    std::vector<LinkClassAnswer> classes;
    std::optional<NetworkCost> cost;  // where there is a fabric
    NetworkPrices prices;
    std::optional<PublishedTopology> published;
    std::vector<std::string> notes;
};

// A network known by name, at full size, or a file: one's own graph (.json), NCCL's topology
// (.xml), `nvidia-smi topo -m` (.txt). Throws InputError.
TopologyAnswer answer_topology(const std::string& name, const std::filesystem::path& profiles);
// A cluster profile's, with overrides ("nodes=16").
TopologyAnswer answer_cluster_topology(const std::string& cluster,
                                       const std::vector<std::string>& sets,
                                       const std::filesystem::path& profiles);

}  // namespace orrery
