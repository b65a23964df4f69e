#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network/finite_field.hpp"
#include "network/routed_network.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

Topology hosts(std::int64_t n) {
    Topology topology{.name = "test", .nodes = {}, .links = {}, .endpoints = {}};
    for (std::int64_t i = 0; i < n; ++i) topology.add_endpoint("host" + std::to_string(i));
    return topology;
}
template <class Add>
Topology built(std::int64_t n, Add add) {
    Topology topology = hosts(n);
    const auto endpoints = topology.endpoints;
    add(topology, endpoints);
    return topology;
}

struct Row {
    const char* name;
    std::int64_t endpoints, switches, links;
};

// Table 3 of arXiv:2505.09343v2.
TEST(Topology, CountsAreThePublishedOnes) {
    const Row rows[] = {{"ft2", 2048, 96, 2048},
                        {"mpft", 16'384, 768, 16'384},
                        {"ft3", 65'536, 5120, 131'072},
                        {"slim_fly", 32'928, 1568, 32'928},
                        {"dragonfly", 261'632, 16'352, 384'272}};
    for (const Row& row : rows) {
        const TopologyCounts counts = count(named_topology(row.name));
        EXPECT_EQ(counts.endpoints, row.endpoints) << row.name;
        EXPECT_EQ(counts.switches, row.switches) << row.name;
        EXPECT_EQ(counts.switch_links, row.links) << row.name;
        EXPECT_EQ(counts.endpoint_links, row.endpoints) << row.name;
    }
}

// No switch has more cables than its 64 ports.
TEST(Topology, PortsAreNotExceeded) {
    for (const char* name : {"ft2", "mpft", "ft3", "slim_fly", "dragonfly"}) {
        const Topology topology = named_topology(name);
        std::vector<int> cables(topology.nodes.size());
        for (const TopologyLink& link : topology.links) {
            ++cables[link.a];
            ++cables[link.b];
        }
        for (std::size_t i = 0; i < cables.size(); ++i) {
            const bool is_switch = topology.nodes[i].kind == NodeKind::fabric;
            ASSERT_LE(cables[i], is_switch ? 64 : 1) << name << " " << topology.nodes[i].name;
        }
    }
}

// q = 5: the Hoffman-Singleton graph, 50 switches of degree 7 and diameter 2. Fields of 4, 7, 8 and
// 9 elements cover the other residues and powers of primes; degree (3 q - d)/2.
TEST(Topology, SlimFliesHaveDiameterTwo) {
    for (const auto& [q, degree] : {std::pair{5, 7}, {4, 6}, {7, 11}, {8, 12}, {9, 13}}) {
        const Topology topology =
            built(slim_fly_endpoints(q), [q = q](auto& t, auto& e) { add_slim_fly(t, e, q, {}); });
        EXPECT_EQ(count(topology).switches, 2 * q * q);
        EXPECT_EQ(count(topology).switch_links, q * q * degree) << q;
        EXPECT_EQ(switch_diameter(topology, 1000), 2) << q;
    }
    EXPECT_THROW(slim_fly_endpoints(6), InputError);
}

// In the field of 9 elements with x^2 = -(a x + b) every element but 0 has an inverse.
TEST(FiniteField, FieldsHaveInversesAndRingsDoNot) {
    for (const std::int64_t q : {2, 3, 4, 8, 9, 27}) {
        const FiniteField field(q);
        ASSERT_TRUE(field.is_field());
        for (std::int64_t a = 1; a < q; ++a) {
            std::int64_t inverses = 0;
            for (std::int64_t b = 1; b < q; ++b) inverses += field.multiply(a, b) == 1;
            EXPECT_EQ(inverses, 1) << a << " of " << q;
            EXPECT_EQ(field.add(field.subtract(0, a), a), 0);
        }
    }
    EXPECT_FALSE(FiniteField(28).is_field());
}

// Groups are one cable apart, so switches at most three: within, across, within.
TEST(Topology, DragonfliesHaveDiameterThree) {
    const Topology topology = built(72, [](auto& t, auto& e) {
        add_dragonfly(t, e, {.p = 2, .a = 4, .h = 2, .groups = 9}, {});
    });
    EXPECT_EQ(count(topology).switch_links, 9 * 6 + 9 * 8 / 2);
    EXPECT_EQ(switch_diameter(topology), 3);
    check_connected(topology);
}

// 64 hosts of 1 GB/s in a full tree of 16-port switches: half to half at 32 GB/s. With 3:1 a leaf
// has 12 hosts and 4 cables up; 8 hosts of leaf 2 are of the first half, 4 of the second: leaves 0,
// 1 and 2 send 4 up each, leaf 2 another 4 to its own hosts.
TEST(Topology, BisectionFollowsOversubscription) {
    const FabricCables cables{.bandwidth = BytesPerSecond(1e9)};
    const auto tree = [&](double oversubscription) {
        return built(64, [&](auto& t, auto& e) {
            add_fat_tree(t, e, {.ports = 16, .oversubscription = oversubscription}, cables);
        });
    };
    EXPECT_NEAR(bisection(tree(1))->value(), 32e9, 1);
    EXPECT_NEAR(bisection(tree(3))->value(), 16e9, 1);
}

TEST(Topology, TooManyEndpointsAreRefused) {
    EXPECT_THROW(built(2049, [](auto& t, auto& e) { add_fat_tree(t, e, {}, {}); }), InputError);
    EXPECT_THROW(
        built(73, [](auto& t,
                     auto& e) { add_dragonfly(t, e, {.p = 2, .a = 4, .h = 2, .groups = 9}, {}); }),
        InputError);
    EXPECT_THROW(built(30, [](auto& t, auto& e) { add_multi_plane(t, e, 8, {}, {}); }), InputError);
    EXPECT_THROW(named_topology("torus"), InputError);
}

// Two ranks of a leaf: 2 cables. Of different leaves: 4, over a spine that the hash chooses.
TEST(RoutedNetwork, TakesShortestPathsOverAllSpines) {
    RoutedNetwork network(built(64, [](auto& t, auto& e) {
        add_fat_tree(t, e, {.ports = 16},
                     {.endpoint_latency = Seconds(1e-6), .switch_latency = Seconds(3e-7)});
    }));
    EXPECT_EQ(network.path(0, 1).hops.size(), 2u);
    EXPECT_EQ(network.path(0, 1).latency.ps, 2'000'000);
    std::vector<LinkId> uplinks;
    for (std::uint64_t hash = 0; hash < 200; ++hash) {
        const auto path = network.path(0, 63, hash);
        ASSERT_EQ(path.hops.size(), 4u);
        EXPECT_EQ(path.latency.ps, 2'600'000);
        const LinkId up = path.hops[1].link;
        if (std::find(uplinks.begin(), uplinks.end(), up) == uplinks.end()) uplinks.push_back(up);
    }
    EXPECT_EQ(uplinks.size(), 8u);
}

// Eight flows of a leaf to another one over eight uplinks: by hash some share, adaptively none
// does.
TEST(RoutedNetwork, AdaptiveRoutingAvoidsSharedLinks) {
    const auto run = [](Routing routing) {
        RoutedNetwork network(
            built(64, [](auto& t, auto& e) { add_fat_tree(t, e, {.ports = 16}, {}); }), routing);
        for (std::uint32_t i = 0; i < 8; ++i) {
            network.start({.source = i, .destination = 56 + i, .bytes = Bytes(50e6)}, SimTime{});
        }
        SimTime end{};
        while (const auto next = network.next_completion()) network.advance_to(end = *next);
        return to_seconds(end).value();
    };
    EXPECT_NEAR(run(Routing::adaptive), 1e-3, 1e-9);
    EXPECT_GT(run(Routing::fixed), 1.9e-3);
}

// A failed cable is not used; a host without any is disconnected; half a cable takes twice as long.
TEST(RoutedNetwork, FailuresAndDegradedLinks) {
    Topology topology = built(4, [](auto& t, auto& e) { add_crossbar(t, e, {}); });
    degrade(topology, "host3", 0);
    degrade(topology, "crossbar-host2", 0.5);
    EXPECT_THROW(degrade(topology, "host9", 0), InputError);
    EXPECT_THROW(degrade(topology, "host1", 1.5), InputError);
    EXPECT_THROW(check_connected(topology), InputError);
    RoutedNetwork network(topology);
    EXPECT_THROW(network.path(0, 3), InputError);
    EXPECT_THROW(network.path(3, 0), InputError);
    EXPECT_THROW(network.path(1, 1), InputError);
    EXPECT_THROW(network.path(0, 4), InputError);
    network.start({.source = 0, .destination = 2, .bytes = Bytes(50e6)}, SimTime{});
    EXPECT_EQ(network.next_completion()->ps, 2'000'000'000);
}

}  // namespace
}  // namespace orrery
