// Costs by hand on the H800 cluster: NVLink 160 GB/s, NIC 50 GB/s nominal and 87 % achieved.

#include "collective/communication_cost.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/random.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

class H800Cost : public ::testing::Test {
  protected:
    ClusterProfile cluster = load_cluster("h800_ib_2048", kProfiles);
    CommunicationCost cost{cluster};

    static Communication expert(CommunicationKind kind, std::int64_t ranks) {
        const bool dispatch = kind == CommunicationKind::expert_dispatch;
        return {kind, Group::expert, ranks, Bytes(dispatch ? 7168 + 4 * 56 : 2 * 7168), 4096,
                8,    256,           4};
    }
    // GB/s as DeepEP counts it: (token, node) pairs, or inside a node tokens received.
    static double deepep_rate(const CommunicationCost& c, CommunicationKind kind,
                              std::int64_t ranks) {
        const Communication op = expert(kind, ranks);
        const double reached = ranks == 8 ? expected_destination_ranks(8, 1, 8, 256, 4)
                                          : expected_destination_nodes(ranks / 8, 8, 256, 4);
        const Seconds wire = c.time(op, {ranks, 8}).time - c.cluster().nvlink_latency.value -
                             (ranks > 8 ? c.cluster().nic_latency.value : Seconds(0));
        return op.bytes.value() * 4096 * reached / wire.value() / 1e9;
    }
};
constexpr auto kDispatch = CommunicationKind::expert_dispatch;
constexpr auto kCombine = CommunicationKind::expert_combine;

TEST_F(H800Cost, ReproducesTheRowsItIsCalibratedOn) {
    EXPECT_NEAR(deepep_rate(cost, kDispatch, 8), 153, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kCombine, 8), 158, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kDispatch, 16), 43, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kCombine, 16), 43, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kDispatch, 32), 58, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kCombine, 32), 57, 1e-6);
}

// At 4 nodes 3/4 of the pairs leave the node: the NIC carries 58 * 3/4 = 43.5 GB/s. At 8 nodes 7/8
// leave: 43.5 / (7/8) = 49.71; combine 57 * 3/4 * 8/7 = 48.86. Published, never used: 51 and 50
// (DeepEP), 50.58 and 48.54 (its paper).
TEST_F(H800Cost, LargerGroupsFollowFromTheNic) {
    EXPECT_NEAR(deepep_rate(cost, kDispatch, 64), 58.0 * 3 / 4 * 8 / 7, 1e-6);
    EXPECT_NEAR(deepep_rate(cost, kCombine, 64), 57.0 * 3 / 4 * 8 / 7, 1e-6);
    EXPECT_EQ(cost.time(expert(kDispatch, 64), {64, 8}).origin, Origin::derived);
    EXPECT_EQ(cost.time(expert(kDispatch, 32), {32, 8}).origin, Origin::published);
    std::printf("EP64 dispatch %.2f GB/s (published 51), combine %.2f GB/s (published 50)\n",
                deepep_rate(cost, kDispatch, 64), deepep_rate(cost, kCombine, 64));
}

TEST_F(H800Cost, HalfTheNicHalvesWhatTheNicLimits) {
    ClusterProfile half = cluster;
    half.nic_bandwidth = {BytesPerSecond(25e9), {Origin::given, "test"}};
    const CommunicationCost slow(half);
    EXPECT_NEAR(deepep_rate(slow, kDispatch, 64), deepep_rate(cost, kDispatch, 64) / 2, 1e-9);
    EXPECT_NEAR(deepep_rate(slow, kDispatch, 32), 29, 1e-6);
    EXPECT_NEAR(deepep_rate(slow, kDispatch, 8), 153, 1e-6);
    EXPECT_EQ(slow.time(expert(kDispatch, 64), {64, 8}).origin, Origin::given);
}

TEST_F(H800Cost, HalfTheNvlinkHalvesWhatItLimits) {
    ClusterProfile half = cluster;
    half.nvlink_bandwidth = {BytesPerSecond(80e9), {Origin::given, "test"}};
    const CommunicationCost slow(half);
    EXPECT_NEAR(deepep_rate(slow, kDispatch, 8), 76.5, 1e-6);
    EXPECT_NEAR(deepep_rate(slow, kDispatch, 16), 21.5, 1e-6);
    EXPECT_LT(deepep_rate(slow, kDispatch, 64), deepep_rate(cost, kDispatch, 64));
}

// Without published rows: bytes over the links. EP16, 4096 tokens of 7392 B to 1.9935 nodes, half
// of them over 43.5 GB/s.
TEST_F(H800Cost, WithoutATableTheLinksDecide) {
    ClusterProfile bare = cluster;
    bare.tables.clear();
    const double nic = 4096 * 7392.0 * expected_destination_nodes(2, 8, 256, 4) / 2 / 43.5e9;
    const double nvlink = 4096 * 7392.0 * expected_destination_ranks(16, 2, 8, 256, 4) / 160e9;
    EXPECT_NEAR(CommunicationCost(bare).time(expert(kDispatch, 16), {16, 8}).time.value(),
                std::max(nic, nvlink) + 3.7e-6 + 3.33e-6, 1e-9);
}

// 1 GB over 16 nodes of 8: each NIC carries 1/8 GB * 15/16 at 43.5 GB/s = 2.694 ms, NVLink 7/8 GB
// at 160 GB/s = 5.469 ms; ceil(log2 128) = 7 latencies of 3.7 us. One rank a node: 1 GB * 15/16
// over the NIC = 21.55 ms, 4 latencies. All-reduce: twice.
TEST_F(H800Cost, RingsAcrossNodes) {
    Communication c{CommunicationKind::all_gather, Group::data, 128, Bytes(1e9)};
    EXPECT_NEAR(cost.time(c, {128, 8}).time.value(), 1e9 * 7 / 8 / 160e9 + 7 * 3.7e-6, 1e-12);
    EXPECT_NEAR(cost.time(c, {16, 1}).time.value(), 1e9 * 15 / 16 / 43.5e9 + 4 * 3.7e-6, 1e-12);
    c.kind = CommunicationKind::all_reduce;
    EXPECT_NEAR(cost.time(c, {16, 1}).time.value(), 2e9 * 15 / 16 / 43.5e9 + 8 * 3.7e-6, 1e-12);
}

// Inside a node: NCCL on H200, what exceeds the smallest message's time (9.183 us of eight ranks'
// reduce_scatter, 5.408 of two ranks' send_recv) times 356.709 / 160. 1 GB * 7/8 lies 640118976 of
// 704643072 bytes past 711.062 us towards 2713.45; 58720256 bytes 41943040 of 50331648 past
// 80.574 towards 248.639. all_to_all of 56 MB, 8 ranks on 2 nodes of 4: 4/7 over the NIC, 3/7 over
// NVLink. A pipeline send of 58.7 MB between nodes.
TEST_F(H800Cost, NodesAndMessages) {
    Communication c{CommunicationKind::reduce_scatter, Group::tensor, 8, Bytes(1e9)};
    const auto scaled = [](double t0, double t) { return (t0 + (t - t0) * 356.709 / 160) * 1e-6; };
    const double gigabyte = 711.062 + 2002.388 * 640118976 / 704643072;
    EXPECT_NEAR(cost.time(c, {8, 8}).time.value(), scaled(9.183, gigabyte), 1e-9);
    c = {CommunicationKind::all_to_all, Group::context, 8, Bytes(56e6)};
    EXPECT_NEAR(cost.time(c, {8, 4}).time.value(), 32e6 / 43.5e9 + 3.7e-6, 1e-12);
    c = {CommunicationKind::send_recv, Group::pipeline, 2, Bytes(58720256)};
    EXPECT_NEAR(cost.time(c, {2, 1}).time.value(), 58720256 / 43.5e9 + 3.7e-6, 1e-12);
    const double message = 80.574 + 168.065 * 41943040 / 50331648;
    EXPECT_NEAR(cost.time(c, {2, 2}).time.value(), scaled(5.408, message), 1e-9);
    EXPECT_EQ(cost.time(c, {1, 1}).time.value(), 0);
    EXPECT_THROW(cost.time(c, {10, 4}), InputError);
}

// The H100 node, from NCCL on 2, 4 and 8 H200 with the same links. Two ranks gather 2 x 134217728
// bytes: each sends half, measured 543.321 us. Eight gather 1 GB: 875 MB each, between 234,881,024
// bytes in 722.871 us and 939,524,096 in 2721.71: 722.871 + 1998.839 x 640118976 / 704643072.
// All-reduce of 131072 bytes over eight: 2 x 131072 x 7/8 = 229376, a third of the way from 114688
// (17.216) to 458752 (17.536). Sixteen ranks that send as much, 2 x 131072 x 14/15 x 15/16, take
// eight's curve and one hop of 5.57 us more.
TEST(H100Node, CollectivesAreNcclsOfAsManyRanks) {
    const CommunicationCost cost(load_cluster("h100_8", kProfiles));
    const auto us = [&](CommunicationKind kind, std::int64_t ranks, double bytes) {
        const Communication c{kind, Group::data, ranks, Bytes(bytes)};
        const CommunicationEstimate estimate = cost.time(c, {ranks, ranks});
        EXPECT_EQ(estimate.origin, Origin::derived);
        return estimate.time.value() * 1e6;
    };
    EXPECT_NEAR(us(CommunicationKind::all_gather, 2, 2 * 134217728.0), 543.321, 1e-6);
    EXPECT_NEAR(us(CommunicationKind::all_gather, 8, 1e9),
                722.871 + 1998.839 * 640118976 / 704643072, 1e-5);
    EXPECT_NEAR(us(CommunicationKind::all_reduce, 8, 131072), 17.216 + 0.32 / 3, 1e-5);
    EXPECT_NEAR(us(CommunicationKind::all_reduce, 16, 131072 * 14.0 / 15), 17.216 + 0.32 / 3 + 5.57,
                1e-5);
    EXPECT_EQ(us(CommunicationKind::all_reduce, 1, 1e9), 0);
}

// Half of NVLink's rate: what exceeds the smallest message's 4.224 us takes twice as long.
TEST(H100Node, MeasuredCollectivesScaleWithNvlink) {
    ClusterProfile half = load_cluster("h100_8", kProfiles);
    half.nvlink_bandwidth.value = BytesPerSecond(356.709e9 / 2);
    const Communication c{CommunicationKind::all_gather, Group::data, 2, Bytes(2 * 134217728.0)};
    EXPECT_NEAR(CommunicationCost(half).time(c, {2, 2}).time.value() * 1e6,
                4.224 + 2 * (543.321 - 4.224), 1e-6);
}

// EP64 of DeepSeek-V3: 4 of 8 nodes hold 128 experts, 32 a node; 8 drawn miss a node with
// probability prod (96-i)/(128-i) = 0.0929: 4 (1 - 0.0929) = 3.629 nodes.
TEST(Routing, NodesOfDeepSeekV3) {
    EXPECT_NEAR(expected_destination_nodes(8, 8, 256, 4), 3.629, 5e-4);
    EXPECT_EQ(expected_destination_nodes(1, 8, 256, 4), 1);
    EXPECT_NEAR(expected_destination_nodes(8, 8, 256, 8), expected_destination_nodes(8, 8, 256, 0),
                1e-12);
    // One expert reaches one node, all experts reach all.
    EXPECT_NEAR(expected_destination_nodes(8, 1, 256, 0), 1, 1e-12);
    EXPECT_NEAR(expected_destination_nodes(4, 16, 16, 0), 4, 1e-12);
    EXPECT_THROW(expected_destination_nodes(8, 33, 256, 1), InputError);
}

// By enumeration: 3 experts of 6 on 3 nodes of 2. Of the 20 draws, those with two on one node reach
// 2 nodes (3 nodes * 4 others = 12), the other 8 reach 3: (24 + 24)/20 = 2.4.
TEST(Routing, SmallCaseByEnumeration) {
    EXPECT_NEAR(expected_destination_nodes(3, 3, 6, 0), 2.4, 1e-12);
    EXPECT_NEAR(expected_destination_ranks(6, 3, 3, 6, 0), 3, 1e-12);
}

// The obvious twin: draw nodes, then experts among theirs, count. 200,000 tokens, standard error
// below 0.002 nodes and 0.003 ranks.
TEST(Routing, AgreesWithDrawnTokens) {
    constexpr int kTokens = 200000;
    double nodes = 0, ranks = 0;
    std::uint64_t draw = 0;
    const auto below = [&](std::size_t n) {
        return static_cast<std::size_t>(counter_uniform(11, 5, draw++) * static_cast<double>(n));
    };
    for (int token = 0; token < kTokens; ++token) {
        std::array<int, 8> order{0, 1, 2, 3, 4, 5, 6, 7};
        for (std::size_t i = 0; i < 4; ++i) std::swap(order[i], order[i + below(8 - i)]);
        std::vector<int> experts;
        for (std::size_t i = 0; i < 4; ++i) {
            for (int e = 0; e < 32; ++e) experts.push_back(order[i] * 32 + e);
        }
        std::set<int> hit_nodes, hit_ranks;
        for (std::size_t i = 0; i < 8; ++i) {
            std::swap(experts[i], experts[i + below(experts.size() - i)]);
            hit_nodes.insert(experts[i] / 32);
            hit_ranks.insert(experts[i] / 4);
        }
        nodes += static_cast<double>(hit_nodes.size()) / kTokens;
        ranks += static_cast<double>(hit_ranks.size()) / kTokens;
    }
    EXPECT_NEAR(expected_destination_nodes(8, 8, 256, 4), nodes, 0.006);
    EXPECT_NEAR(expected_destination_ranks(64, 8, 8, 256, 4), ranks, 0.009);
}

}  // namespace
}  // namespace orrery
