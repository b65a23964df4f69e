#include "collective/flow_collective.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

// n hosts of 50 GB/s, 1 us end to end.
RoutedNetwork crossbar(std::int64_t n) {
    Topology topology{.name = "crossbar", .nodes = {}, .links = {}, .endpoints = {}};
    for (std::int64_t i = 0; i < n; ++i) topology.add_endpoint("host" + std::to_string(i));
    const auto all = topology.endpoints;
    add_crossbar(topology, all, {.endpoint_latency = Seconds(0.5e-6)});
    return RoutedNetwork(std::move(topology));
}
FlowCollectiveResult run(std::int64_t n, FlowCollectiveRequest request) {
    RoutedNetwork network = crossbar(n);
    request.ranks = static_cast<std::uint32_t>(n);
    return run_collective(network, request);
}
double us(const FlowCollectiveResult& result) { return 1e6 * to_seconds(result.time).value(); }

// 15 MB out of each of 16 ranks at 50 GB/s: 300 us, and 1 us of latency; shifted, a latency a
// round.
TEST(FlowCollective, AllToAll) {
    FlowCollectiveRequest request{.bytes = Bytes(15e6)};
    EXPECT_NEAR(us(run(16, request)), 301, 1e-5);
    EXPECT_EQ(run(16, request).counts.flows, 240);
    request.pattern = AllToAllPattern::shifted;
    EXPECT_NEAR(us(run(16, request)), 315, 1e-5);
}

// Unequal messages: each rank still sends 15 MB, what comes in differs, so it takes longer than
// 301 us, and the seed decides how long.
TEST(FlowCollective, UnequalAllToAllDependsOnTheSeed) {
    FlowCollectiveRequest request{.bytes = Bytes(15e6), .pattern = AllToAllPattern::unequal};
    const double one = us(run(16, request));
    EXPECT_GT(one, 305);
    EXPECT_LT(one, 450);
    EXPECT_EQ(one, us(run(16, request)));
    request.seed = 2;
    EXPECT_NE(one, us(run(16, request)));
}

// Two ranks at full duplex: B / 50 GB/s + 1 us each.
TEST(FlowCollective, SendRecv) {
    const auto result = run(2, {.kind = FlowCollective::send_recv, .bytes = Bytes(50e6)});
    EXPECT_NEAR(us(result), 1001, 1e-5);
    EXPECT_NEAR(result.bandwidth.value(), 50e6 / 1001e-6, 1);
}

// Four ranks, 40 MB: chunks of 10 MB take 200 us + 1 us; 3 steps, an all-reduce 6.
TEST(FlowCollective, Rings) {
    FlowCollectiveRequest request{.kind = FlowCollective::all_gather, .bytes = Bytes(40e6)};
    EXPECT_NEAR(us(run(4, request)), 603, 1e-5);
    request.kind = FlowCollective::all_reduce;
    const auto result = run(4, request);
    EXPECT_NEAR(us(result), 1206, 1e-5);
    EXPECT_EQ(result.counts.flows, 24);
}

// Eight ranks, 50 MB in three exchanges of all of it.
TEST(FlowCollective, RecursiveDoubling) {
    FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                  .bytes = Bytes(50e6),
                                  .algorithm = FlowAlgorithm::recursive_doubling};
    EXPECT_NEAR(us(run(8, request)), 3 * 1001, 1e-5);
    EXPECT_THROW(run(6, request), InputError);
    request.kind = FlowCollective::all_gather;
    EXPECT_THROW(run(8, request), InputError);
}

// Two nodes of four GPUs, 200 GB/s NVLink and a 50 GB/s NIC each, one plane a NIC. Each of four
// rings carries 80 MB / 8 / 4 = 2.5 MB a step through one NIC of each node: 50 us and 2 us of
// latency; the NVLink steps of a ring (4 rings on each GPU's NVLink: 3 x 2.5 MB at 200 GB/s) are
// faster. 7 steps. A chunk needs no more than that a step, so the ring runs at the NIC's pace.
TEST(FlowCollective, RingsUseEveryNicOfANode) {
    Topology topology{.name = "planes", .nodes = {}, .links = {}, .endpoints = {}};
    for (int i = 0; i < 8; ++i) topology.add_endpoint("gpu" + std::to_string(i));
    const auto all = topology.endpoints;
    for (std::size_t node = 0; node < 2; ++node) {
        add_nvlink_switch(topology, Endpoints(all).subspan(4 * node, 4),
                          static_cast<std::int32_t>(node), 1, BytesPerSecond(200e9), Seconds(1e-6));
    }
    add_multi_plane(topology, all, 4, {}, {.endpoint_latency = Seconds(1e-6)});
    RoutedNetwork network(std::move(topology));
    const auto result = run_collective(network, {.kind = FlowCollective::all_gather,
                                                 .ranks = 8,
                                                 .ranks_per_node = 4,
                                                 .bytes = Bytes(80e6)});
    EXPECT_NEAR(us(result), 7 * 52, 1);
}

TEST(FlowCollective, ImpossibleRequestsAreRefused) {
    RoutedNetwork network = crossbar(4);
    EXPECT_THROW(run_collective(network, {.ranks = 5, .bytes = Bytes(1e6)}), InputError);
    EXPECT_THROW(run_collective(network, {.ranks = 1, .bytes = Bytes(1e6)}), InputError);
    EXPECT_THROW(run_collective(network, {.ranks = 4, .bytes = Bytes(0)}), InputError);
}

}  // namespace
}  // namespace orrery
