#include "network/cluster_topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network/routed_network.hpp"

namespace orrery {
namespace {

const char* const kProfiles = ORRERY_SOURCE_DIR "/hw_profiles";

Topology topology_of(const char* name, const std::vector<std::string>& sets = {}) {
    return cluster_topology(load_cluster(name, kProfiles, sets));
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

TEST(ClusterTopology, NodesCanBeOverridden) {
    const ClusterProfile cluster = load_cluster("h800_mpft", kProfiles, {"nodes=16"});
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
