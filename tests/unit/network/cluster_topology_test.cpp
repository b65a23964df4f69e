#include "network/cluster_topology.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network/routed_network.hpp"

namespace orrery {
namespace {

const char* const kProfiles = ORRERY_SOURCE_DIR "/hw_profiles";

Topology topology_of(const char* name, const std::vector<std::string>& sets = {}) {
    return cluster_topology(load_cluster(name, kProfiles, profile_changes(sets)));
}
std::string message_of(const char* name, const std::vector<std::string>& sets) {
    try {
        topology_of(name, sets);
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

// 256 nodes of 8: each plane has 256 NICs on 8 leaves and 4 spines; with rails one tree of 64
// leaves and 32 spines.
TEST(ClusterTopology, PlanesAndRails) {
    const TopologyCounts planes = count(topology_of("h800_mpft"));
    EXPECT_EQ(planes.endpoints, 2048);
    EXPECT_EQ(planes.switches, 8 * 12);
    EXPECT_EQ(planes.nvlink_switches, 256);
    const TopologyCounts rails = count(topology_of("h800_mrft"));
    EXPECT_EQ(rails.switches, 96);
    EXPECT_EQ(rails.switch_links, 2048);
}

// GPU 0 of node 0 to GPU 0 of node 1: one leaf, 2.8 us. Of node 100: another leaf, 3.7 us. To GPU 3
// of node 1: planes never meet, so NVLink forwards, 3.33 us more.
TEST(ClusterTopology, LatenciesAndForwarding) {
    RoutedNetwork network(topology_of("h800_mpft"));
    EXPECT_EQ(network.path(0, 8).latency.ps, 2'800'000);
    EXPECT_EQ(network.path(0, 800).latency.ps, 3'700'000);
    EXPECT_EQ(network.path(0, 11).latency.ps, 2'800'000 + 3'330'000);
    EXPECT_EQ(network.path(0, 3).latency.ps, 3'330'000);
}

std::map<LinkClass, double> class_sums(RoutedNetwork& network, std::uint32_t from,
                                       std::uint32_t to) {
    std::map<LinkClass, double> sums;
    for (const RouteHop& hop : network.spread(from, to).hops) {
        sums[network.topology().links[network.cable(hop.link)].link_class] += hop.coefficient;
    }
    return sums;
}

// Under one leaf: two NIC cables. Across leaves: up the 32 cables to the plane's 4 spines and down
// again, 2 switch cables in sum. GPU 3 of another node: half goes over NVLink before the network,
// half behind it, twice two NVLinks in halves. Latency is the longest way's.
TEST(ClusterTopology, SpreadUsesEveryShortestPathEvenly) {
    RoutedNetwork network(topology_of("h800_mpft"));
    EXPECT_EQ(network.spread(0, 8).hops.size(), 2U);
    EXPECT_EQ(network.spread(0, 800).hops.size(), 2U + 2 * 32);
    auto sums = class_sums(network, 0, 800);
    EXPECT_DOUBLE_EQ(sums[LinkClass::nic], 2);
    EXPECT_DOUBLE_EQ(sums[LinkClass::fabric], 2);
    sums = class_sums(network, 0, 11);
    EXPECT_DOUBLE_EQ(sums[LinkClass::nic], 2);
    EXPECT_DOUBLE_EQ(sums[LinkClass::nvlink], 2);
    EXPECT_EQ(network.spread(0, 11).latency.ps, 2'800'000 + 3'330'000);
    EXPECT_EQ(network.spread(0, 800).latency.ps, network.path(0, 800).latency.ps);
}

// Plane 0's leaves are gone: GPU 0 sends through the seven other GPUs' NICs, a seventh each.
TEST(ClusterTopology, SpreadGoesAroundAFailedPlane) {
    std::string fail = "fabric.fail=[";
    for (int leaf = 0; leaf < 8; ++leaf) {
        fail += (leaf > 0 ? ", " : "") + ("\"plane0.leaf" + std::to_string(leaf) + "\"");
    }
    RoutedNetwork network(topology_of("h800_mpft", {fail + "]"}));
    int nics = 0;
    for (const RouteHop& hop : network.spread(0, 8).hops) {
        if (network.topology().links[network.cable(hop.link)].link_class != LinkClass::nic)
            continue;
        EXPECT_DOUBLE_EQ(hop.coefficient, 1.0 / 7);
        ++nics;
    }
    EXPECT_EQ(nics, 14);
    EXPECT_DOUBLE_EQ(class_sums(network, 0, 8)[LinkClass::nvlink], 4);
}

TEST(ClusterTopology, NodesCanBeOverridden) {
    const ClusterProfile cluster =
        load_cluster("h800_mpft", kProfiles, profile_changes({"nodes=16"}));
    EXPECT_EQ(cluster.nodes.from.origin, Origin::given);
    EXPECT_EQ(count(cluster_topology(cluster)).endpoints, 128);
    EXPECT_EQ(count(topology_of("crossbar_50GBps", {"nodes=64"})).endpoints, 64);
    EXPECT_EQ(topology_of("crossbar_50GBps", {"nic_bandwidth=25 GB/s"}).links[0].bandwidth,
              BytesPerSecond(25e9));
    EXPECT_THAT(message_of("h800_mpft", {"nodes=2049"}), testing::HasSubstr("takes at most 2048"));
    EXPECT_THAT(message_of("h100_8", {"nodes=2"}), testing::HasSubstr("no \"fabric\""));
    EXPECT_THAT(message_of("h800_mpft", {"nodez=2"}), testing::HasSubstr("nodez"));
    EXPECT_THAT(message_of("h800_mpft", {"fabric.kind=torus"}), testing::HasSubstr("must be"));
}

// One failed plane: its GPUs reach others through their neighbours' NICs. A GPU without NIC and
// NVLink is disconnected.
TEST(ClusterTopology, FailuresAreRoutedAround) {
    const std::vector<std::string> plane = {
        "nodes=16", R"(fabric.fail=["plane0.leaf0", {"what": "plane1.leaf0", "left": 0.5}])"};
    RoutedNetwork network(topology_of("h800_mpft", plane));
    EXPECT_EQ(network.path(0, 8).hops.size(), 6u);
    EXPECT_EQ(network.path(1, 9).hops.size(), 2u);
    EXPECT_THAT(message_of("h800_mpft", {R"(fabric.fail=["node0.gpu0"])"}),
                testing::HasSubstr("disconnected"));
    EXPECT_THAT(message_of("h800_mpft", {R"(fabric.fail=["node999"])"}),
                testing::HasSubstr("is no node or link"));
}

}  // namespace
}  // namespace orrery
