// Collectives as one variable: closed forms, and the same as message by message.
#include "collective/symmetric_collective.hpp"

#include <cmath>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "collective/nccl_collective.hpp"
#include "collective/rank_order.hpp"
#include "core/error.hpp"
#include "network/cluster_topology.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

constexpr double kRate = 50e9, kLatency = 1e-6;

RoutedNetwork crossbar(std::uint32_t n) {
    Topology topology{.name = "crossbar", .nodes = {}, .links = {}, .endpoints = {}};
    for (std::uint32_t i = 0; i < n; ++i) topology.add_endpoint("host" + std::to_string(i));
    const auto all = topology.endpoints;
    add_crossbar(topology, all, {.endpoint_latency = Seconds(kLatency / 2)});
    return RoutedNetwork(std::move(topology));
}
// Nodes of eight, 200 GB/s NVLink, a 50 GB/s NIC and a plane for each GPU; 1 us everywhere.
RoutedNetwork planes(std::uint32_t nodes) {
    Topology topology{.name = "planes", .nodes = {}, .links = {}, .endpoints = {}};
    for (std::uint32_t i = 0; i < 8 * nodes; ++i) {
        topology.add_endpoint("gpu" + std::to_string(i), static_cast<std::int32_t>(i / 8));
    }
    const auto all = topology.endpoints;
    for (std::uint32_t node = 0; node < nodes; ++node) {
        add_nvlink_switch(topology, Endpoints(all).subspan(8 * node, 8),
                          static_cast<std::int32_t>(node), 1, BytesPerSecond(200e9),
                          Seconds(0.5e-6));
    }
    add_multi_plane(topology, all, 8, {}, {.endpoint_latency = Seconds(0.5e-6)});
    return RoutedNetwork(std::move(topology));
}

double run(RoutedNetwork network, FlowCollectiveRequest request, FlowExpansion expansion) {
    request.expansion = expansion;
    return to_seconds(run_collective(network, request).time).value();
}
constexpr auto kOne = FlowExpansion::one;
constexpr auto kMessages = FlowExpansion::messages;

// Ring all_reduce: 2 (n-1)/n B / bandwidth + 2 (n-1) latency; half of it each for its parts.
TEST(SymmetricCollective, RingsHaveTheirClosedForm) {
    for (const std::uint32_t n : {2u, 3u, 8u, 64u}) {
        const double bytes = 12.8e6 * n;
        const double half = (n - 1) * (bytes / n / kRate + kLatency);
        FlowCollectiveRequest request{
            .kind = FlowCollective::all_reduce, .ranks = n, .bytes = Bytes(bytes)};
        EXPECT_NEAR(run(crossbar(n), request, kOne) / (2 * half), 1, 1e-9);
        request.kind = FlowCollective::reduce_scatter;
        EXPECT_NEAR(run(crossbar(n), request, kOne) / half, 1, 1e-9);
    }
}

// What is symmetric takes the same as one variable and message by message.
TEST(SymmetricCollective, OneVariableIsManyMessages) {
    struct Case {
        FlowCollective kind;
        FlowAlgorithm algorithm;
    };
    for (const Case c : {Case{FlowCollective::all_reduce, FlowAlgorithm::ring},
                         {FlowCollective::all_gather, FlowAlgorithm::ring},
                         {FlowCollective::reduce_scatter, FlowAlgorithm::ring},
                         {FlowCollective::all_reduce, FlowAlgorithm::recursive_doubling},
                         {FlowCollective::all_to_all, FlowAlgorithm::pairwise},
                         {FlowCollective::send_recv, FlowAlgorithm::pairwise}}) {
        const FlowCollectiveRequest request{
            .kind = c.kind, .ranks = 16, .bytes = Bytes(16 * 15 * 1e6), .algorithm = c.algorithm};
        const double one = run(crossbar(16), request, kOne);
        const double many = run(crossbar(16), request, kMessages);
        EXPECT_NEAR(one / many, 1, 1e-9) << to_string(c.algorithm) << " " << to_string(c.kind);
    }
}

// Over nodes: of the 8 rings of 8 nodes x 8 GPUs each GPU sends 7 over its NVLink and 1 over its
// NIC; a step moves 64 MB / 64 / 8 = 125 KB in each: 7 x 125 KB at 200 GB/s are 4.375 us, the NIC
// takes 2.5. 126 steps, 1 us each.
TEST(SymmetricCollective, RingsOverNodes) {
    const FlowCollectiveRequest request{
        .kind = FlowCollective::all_reduce, .ranks = 64, .ranks_per_node = 8, .bytes = Bytes(64e6)};
    EXPECT_NEAR(run(planes(8), request, kOne) * 1e6, 126 * 5.375, 1e-3);
    EXPECT_NEAR(run(planes(8), request, kMessages) * 1e6, 126 * 5.375, 1e-3);
}

// A tree of 8: inner ranks send B/2 up and twice B/2 down, leaves of it B/2 up: each rank sends and
// receives 2 B in both trees together, but the two roots. 2 log2 n latencies.
TEST(SymmetricCollective, TreesTakeLogarithmicLatency) {
    FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                  .ranks = 8,
                                  .bytes = Bytes(1e9),
                                  .algorithm = FlowAlgorithm::tree};
    EXPECT_NEAR(run(crossbar(8), request, kOne), 2e9 / kRate + 6e-6, 1e-9);
    request.bytes = Bytes(1);
    EXPECT_NEAR(run(crossbar(8), request, kOne), 6e-6, 1e-9);
    request.ranks = 1024;
    EXPECT_NEAR(run(crossbar(1024), request, kOne), 20e-6, 1e-9);
}

// Message by message in chunks it is more: the pipeline fills and empties (6 levels), a rank's
// messages share its link.
TEST(SymmetricCollective, TreesByMessagesComeCloseFromAbove) {
    const FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                        .ranks = 8,
                                        .bytes = Bytes(1e9),
                                        .algorithm = FlowAlgorithm::tree};
    const double one = run(crossbar(8), request, kOne);
    const double many = run(crossbar(8), request, kMessages);
    EXPECT_GT(many, one * (1 - 1e-9));
    EXPECT_LT(many, one * 1.35);
}

// Each algorithm puts on the links what it must: ring 2 (n-1) B in all, tree 2 x 2 (n-1)/2 x B up
// and down, each over two links of the crossbar.
TEST(SymmetricCollective, BytesAreConserved) {
    RoutedNetwork network = crossbar(16);
    FlowCollectiveRequest request{
        .kind = FlowCollective::all_reduce, .ranks = 16, .bytes = Bytes(16e6)};
    for (const auto& [algorithm, each] : {std::pair{FlowAlgorithm::ring, 2 * 15 * 16e6},
                                          {FlowAlgorithm::tree, 2 * 15 * 16e6},
                                          {FlowAlgorithm::recursive_doubling, 4 * 16 * 16e6}}) {
        double sum = 0;
        for (const SymmetricStage& stage : symmetric_stages(network, request, algorithm)) {
            for (const RouteHop& hop : stage.route) sum += hop.coefficient * stage.bytes;
        }
        EXPECT_NEAR(sum, 2 * each, 1) << to_string(algorithm);
    }
}

// The switch adds up: 9/8 B out of each of eight GPUs at 200 GB/s.
TEST(SymmetricCollective, SwitchMulticast) {
    FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                  .ranks = 8,
                                  .ranks_per_node = 8,
                                  .bytes = Bytes(1.6e9),
                                  .algorithm = FlowAlgorithm::nvls};
    EXPECT_NEAR(run(planes(1), request, kOne) * 1e3, 9, 1e-2);
    request.kind = FlowCollective::all_gather;
    EXPECT_NEAR(run(planes(1), request, kOne) * 1e3, 7, 1e-2);
    request.ranks_per_node = 1;
    EXPECT_THROW(run(crossbar(8), request, kOne), InputError);
}

// Two nodes of eight, 160 MB: 7 x 20 MB at 200 GB/s inside, twice (700 us each); between them
// 2 x 1 x 10 MB at 50 GB/s, 400 us; 7 + 2 + 7 latencies of 1 us.
TEST(SymmetricCollective, Hierarchical) {
    const FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                        .ranks = 16,
                                        .ranks_per_node = 8,
                                        .bytes = Bytes(160e6),
                                        .algorithm = FlowAlgorithm::hierarchical};
    EXPECT_NEAR(run(planes(2), request, kOne) * 1e6, 1816, 0.01);
    FlowCollectiveRequest flat = request;
    flat.ranks_per_node = 1;
    EXPECT_THROW(run(crossbar(16), flat, kOne), InputError);
}

// As above: 7 chunks a step over each NVLink.
TEST(SymmetricCollective, TwoThousandRanksAreOneFlow) {
    RoutedNetwork network = planes(256);
    const FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                        .ranks = 2048,
                                        .ranks_per_node = 8,
                                        .bytes = Bytes(1e9),
                                        .algorithm = FlowAlgorithm::ring,
                                        .expansion = kOne};
    const auto result = run_collective(network, request);
    EXPECT_EQ(result.counts.flows, 1);
    const double chunk = 1e9 / 2048 / 8;
    EXPECT_NEAR(to_seconds(result.time).value(), 4094 * (7 * chunk / 200e9 + 1e-6), 1e-9);
}

// Every rank but the root has a parent, no chain is longer than log2 n + 1, and no rank has
// children in both trees where their number is even.
TEST(SymmetricCollective, DoubleBinaryTrees) {
    for (const std::uint32_t n : {2u, 3u, 5u, 8u, 12u, 31u, 256u}) {
        std::set<std::uint32_t> inner[2];
        for (const int which : {0, 1}) {
            const auto parent = which == 0 ? tree_parent : second_tree_parent;
            int roots = 0;
            for (std::uint32_t i = 0; i < n; ++i) {
                roots += parent(i, n).has_value() ? 0 : 1;
                double depth = 0;
                for (auto up = parent(i, n); up && depth < 99; up = parent(*up, n)) ++depth;
                EXPECT_LE(depth, std::log2(n) + 1) << n;
                if (parent(i, n)) inner[which].insert(*parent(i, n));
            }
            EXPECT_EQ(roots, 1) << n;
        }
        for (const std::uint32_t i : inner[0]) {
            EXPECT_FALSE(n % 2 == 0 && inner[1].contains(i)) << n << " " << i;
        }
    }
}

// With protocols: a measured size comes out as measured (all_reduce of 1 MiB on eight, ring LL,
// 22.976 us), and what was asked for is what runs.
TEST(NcclCollective, ChoosesAndPrices) {
    const ClusterProfile profile = load_cluster("h200_8", ORRERY_SOURCE_DIR "/hw_profiles");
    const NcclTuning tuning = *NcclTuning::of(profile);
    const ProtocolCosts costs = *ProtocolCosts::of(profile, tuning);
    const auto answer = [&](FlowCollectiveRequest request) {
        RoutedNetwork network(cluster_topology(profile));
        request.ranks = request.ranks_per_node = 8;
        return run_nccl_collective(network, request, tuning, costs);
    };
    const FlowCollectiveRequest request{.kind = FlowCollective::all_reduce,
                                        .bytes = Bytes(1048576)};
    const NcclCollective own = answer(request);
    EXPECT_TRUE(own.was_chosen);
    EXPECT_EQ(own.result.protocol, FlowProtocol::ll);
    EXPECT_NEAR(to_seconds(own.result.time).value() * 1e6, 22.976, 0.1);
    FlowCollectiveRequest asked = request;
    asked.protocol = FlowProtocol::simple;
    EXPECT_EQ(answer(asked).result.protocol, FlowProtocol::simple);
    EXPECT_FALSE(answer(asked).was_chosen);
    EXPECT_GT(answer(asked).result.time, own.result.time);
    asked.algorithm = FlowAlgorithm::nvls;
    asked.protocol = FlowProtocol::ll;
    EXPECT_THROW(answer(asked), InputError);
    // Unequal messages take no less than equal ones.
    FlowCollectiveRequest parts{.kind = FlowCollective::all_to_all, .bytes = Bytes(7e9)};
    const SimDuration equal = answer(parts).result.time;
    parts.pattern = AllToAllPattern::unequal;
    EXPECT_GE(answer(parts).result.time, equal);
    // send_recv of 1 GiB round a ring of eight: 3010.14 us.
    const FlowCollectiveRequest pairs{.kind = FlowCollective::send_recv,
                                      .bytes = Bytes(1073741824)};
    EXPECT_NEAR(to_seconds(answer(pairs).result.time).value() * 1e6, 3010.14, 3);
}

}  // namespace
}  // namespace orrery
