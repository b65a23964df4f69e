#include "study/topology_answer.hpp"

#include "core/config.hpp"
#include "hardware/cluster_profile.hpp"
#include "network/cluster_topology.hpp"
#include "network/importers.hpp"
#include "network/topology_builders.hpp"

namespace orrery {

namespace {

const std::map<std::string, PublishedTopology>& published() {
    static constexpr const char* kTable = "arXiv:2505.09343v2 Table 3";
    static const std::map<std::string, PublishedTopology> table = {
        {"ft2", {2048, 96, 2048, 9, kTable}},
        {"mpft", {16'384, 768, 16'384, 72, kTable}},
        {"ft3", {65'536, 5120, 131'072, 491, kTable}},
        {"slim_fly", {32'928, 1568, 32'928, 146, kTable}},
        {"dragonfly", {261'632, 16'352, 384'272, 1522, kTable}},
    };
    return table;
}

std::vector<LinkClassAnswer> classes_of(const Topology& topology) {
    std::vector<LinkClassAnswer> classes;
    for (const LinkClass kind :
         {LinkClass::nic, LinkClass::fabric, LinkClass::nvlink, LinkClass::pcie}) {
        LinkClassAnswer answer{.name = std::string(to_string(kind)), .lowest = {}, .highest = {}};
        for (const TopologyLink& link : topology.links) {
            if (link.link_class != kind) continue;
            ++answer.links;
            const BytesPerSecond rate = link.bandwidth * link.health;
            if (link.health == 0) {
                ++answer.failed;
                continue;
            }
            if (answer.highest.value() == 0 || rate < answer.lowest) answer.lowest = rate;
            answer.highest = std::max(answer.highest, rate);
        }
        if (answer.links > 0) classes.push_back(answer);
    }
    return classes;
}

TopologyAnswer answer_for(const Topology& topology, BytesPerSecond cable_rate,
                          std::int64_t switch_ports, const std::filesystem::path& profiles) {
    TopologyAnswer answer;
    answer.name = topology.name;
    answer.counts = count(topology);
    answer.diameter = switch_diameter(topology);
    answer.bisection = bisection(topology);
    answer.classes = classes_of(topology);
    answer.notes = topology.notes;
    answer.prices = load_network_prices(profiles);
    if (answer.counts.switches > 0) {
        answer.cost = network_cost(topology, answer.prices, cable_rate, switch_ports);
    }
    return answer;
}

// A known name, or a file: one's own graph, NCCL's XML, nvidia-smi's matrix.
Topology topology_of(const std::string& name) {
    const std::filesystem::path path(name);
    const std::string kind = path.extension().string();
    if (kind == ".json") return read_graph(path);
    if (kind == ".xml") return import_nccl_xml(read_text_file(path, "NCCL's topology XML"), name);
    if (kind == ".txt") {
        return import_nvidia_smi(read_text_file(path, "the text of nvidia-smi topo -m"), name);
    }
    return named_topology(name);
}

}  // namespace

TopologyAnswer answer_topology(const std::string& name, const std::filesystem::path& profiles) {
    constexpr std::int64_t kPorts = 64;
    TopologyAnswer answer =
        answer_for(topology_of(name), FabricCables{}.bandwidth, kPorts, profiles);
    const auto at = published().find(name);
    if (at != published().end()) answer.published = at->second;
    return answer;
}

TopologyAnswer answer_cluster_topology(const std::string& cluster,
                                       const std::vector<std::string>& sets,
                                       const std::filesystem::path& profiles) {
    const ClusterProfile profile = load_cluster(cluster, profiles, profile_changes(sets));
    TopologyAnswer answer =
        answer_for(cluster_topology(profile), profile.nic_bandwidth.value,
                   profile.fabric ? profile.fabric->switch_ports : 64, profiles);
    answer.title = profile.title;
    return answer;
}

}  // namespace orrery
