#include "training/routed_experts.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "model/read_config.hpp"
#include "model/routing.hpp"

namespace orrery {
namespace {

// Four ranks on two nodes, 10 tokens each; rank 0 keeps to itself more than the others do. Means
// over sources: own node (10 + 8 + 8 + 6) / 4 = 8, other node (2 + 4 + 4 + 6) / 4 = 4; own rank
// (8 + 4 + 4 + 4) / 4 = 5, other rank of the node 3, each rank of the other node 2. 20 tokens
// instead of 10 double them; 20 x 2 / 4 selections go to each rank.
TEST(RoutedExperts, EvenedTrafficHasTheMeansEverywhere) {
    ExpertTraffic t;
    t.ranks = 4, t.ranks_per_node = 2, t.tokens = 10, t.top_k = 2;
    t.node_pairs = {10, 2, 8, 4, 4, 8, 6, 6};
    t.rank_pairs = {8, 3, 1, 1, 3, 4, 2, 2, 3, 2, 4, 3, 2, 3, 3, 4};
    t.selections.assign(16, 5);
    t.slot_rows.assign(8, 10);
    const ExpertTraffic even = evened(t, 20);
    EXPECT_EQ(even.tokens, 20);
    for (std::int32_t source = 0; source < 4; ++source) {
        const std::int32_t node = source / 2;
        EXPECT_EQ(even.to_node(source, node), 16);
        EXPECT_EQ(even.to_node(source, 1 - node), 8);
        EXPECT_EQ(even.to_rank(source, source), 10);
        EXPECT_EQ(even.to_rank(source, source ^ 1), 6);
        EXPECT_EQ(even.to_rank(source, (source + 2) % 4), 4);
        EXPECT_EQ(even.selected(source, 0), 10);
    }
    EXPECT_EQ(even.slot_rows, std::vector<std::int64_t>(8, 20));
}

// DeepSeek-V3's layers on 64 of 128 ranks, 4,096 tokens each.
TrainingSpec deepseek(RoutingKind kind) {
    TrainingSpec spec;
    spec.model = load_model("scenarios/models/deepseek_v3.json");
    spec.plan.pp = 2;
    spec.plan.dp = 128;
    spec.plan.ep = 64;
    spec.sequence_length = 4096;
    spec.cluster = load_cluster("h800_mpft", "hw_profiles/clusters");
    spec.routing.kind = kind;
    spec.routing.draws = 2;
    spec.network.counted_tokens = true;
    return spec;
}
const PlacementShape kShape{2, 128, 1, 1, 64, false, 8};
const Operator kDispatch{"dispatch", Communication{.kind = CommunicationKind::expert_dispatch,
                                                   .group = Group::expert,
                                                   .ranks = 64,
                                                   .bytes = Bytes(7392),
                                                   .tokens = 4096,
                                                   .top_k = 8,
                                                   .experts = 256,
                                                   .node_limit = 4}};

// V3's gate compares groups by their two best experts: 3.95 nodes of 4 (routing_test.cpp has the
// gate), where groups drawn first would give 3.63.
TEST(RoutedExperts, BalancedTrafficReachesTheGatesNodes) {
    const RoutedExperts experts(deepseek(RoutingKind::balanced), kShape);
    EXPECT_TRUE(experts.timed());
    EXPECT_FALSE(experts.rows_differ());
    EXPECT_EQ(experts.draws(), 1);
    EXPECT_NEAR(experts.mean_nodes(), 3.954, 0.004);
    EXPECT_NEAR(experts.row_spread(), 0, 1e-12);
    EXPECT_GT(experts.mean_nodes(), 1.05 * expected_destination_nodes(8, 8, 256, 4));
}

// 64 x 4,096 tokens choose 8 experts each: 2,097,152 rows, before each of 256 experts' rows are
// padded to 128, 63.5 on average. Random routing spreads a rank's 32,768 rows by about
// sqrt(32,768) = 181, less what choosing 4 experts of a node together adds: 0.4 to 0.7 %.
TEST(RoutedExperts, DrawnRowsAreThoseOfTheGate) {
    const RoutedExperts experts(deepseek(RoutingKind::drawn), kShape);
    ASSERT_EQ(experts.draws(), 2);
    for (std::int32_t draw = 0; draw < 2; ++draw) {
        std::int64_t rows = 0;
        for (std::int32_t member = 0; member < 64; ++member) {
            EXPECT_EQ(experts.rows(draw, member).rows % 128, 0);
            EXPECT_LT(experts.rows(draw, member).received, experts.rows(draw, member).rows);
            rows += experts.rows(draw, member).rows;
        }
        EXPECT_NEAR(static_cast<double>(rows), 2097152 + 256 * 63.5, 256 * 10);
    }
    EXPECT_NE(experts.rows(0, 0), experts.rows(1, 0));
    EXPECT_GT(experts.row_spread(), 0.004);
    EXPECT_LT(experts.row_spread(), 0.007);
}

TEST(RoutedExperts, LayersMicroBatchesAndGroupsTakeDrawsOfTheirOwn) {
    const RoutedExperts experts(deepseek(RoutingKind::drawn), kShape);
    int second = 0;
    for (int micro_batch = 0; micro_batch < 400; ++micro_batch) {
        const std::int32_t draw = experts.draw_of(7, micro_batch);
        EXPECT_EQ(draw, experts.draw_of(7, micro_batch));
        second += draw;
    }
    EXPECT_NEAR(second, 200, 60);  // half of them, within 6 standard deviations of 10
    EXPECT_EQ(experts.shift_of(0), 0);
    EXPECT_EQ(experts.shift_of(1), 1);
    EXPECT_EQ(experts.shift_of(2), 0);
}

// A dispatch takes what ExpertAllToAll says of these counts, and the exchange of counts before it:
// two crossings of NVLink (3.33 us) and two of the network (3.7 us) = 14.06 us.
TEST(RoutedExperts, TimeIsTheCountedExchangeAndItsNotify) {
    TrainingSpec spec = deepseek(RoutingKind::drawn);
    spec.communication_sms = 20;
    const auto& op = std::get<Communication>(kDispatch.shape);
    const RoutedExperts with(spec, kShape);
    spec.network.notify = false;
    const RoutedExperts without(spec, kShape);
    const ExpertTime alone =
        ExpertAllToAll(spec.cluster).time(with.traffic(1), {.payload = op.bytes, .sms = 20});
    EXPECT_DOUBLE_EQ(without.time(op, 1).time.value(), alone.time.value());
    EXPECT_NEAR((with.time(op, 1).time - without.time(op, 1).time).value(), 14.06e-6, 1e-12);
}

TEST(RoutedExperts, WhatCannotBeCountedIsRefused) {
    TrainingSpec spec = deepseek(RoutingKind::drawn);
    spec.plan.tp = 2;
    EXPECT_THROW(RoutedExperts(spec, kShape), InputError);
    spec = deepseek(RoutingKind::drawn);
    spec.model = load_model("scenarios/models/llama3_8b.json");
    EXPECT_THROW(RoutedExperts(spec, kShape), InputError);
    spec = deepseek(RoutingKind::balanced);
    spec.cluster.expert_costs.reset();
    EXPECT_THROW(RoutedExperts(spec, kShape), InputError);
}

// Two uneven layers' loads: draw 0 follows row 0, draw 1 row 1. The first expert of row 0 gets 4
// times the others' tokens, as far as its group's limit lets it: rank 0 is the busiest.
TEST(RoutedExperts, LoadsOfAFileAreFollowed) {
    TrainingSpec spec = deepseek(RoutingKind::drawn);
    std::vector<double> first(256, 1.0), second(256, 1.0);
    first[0] = 4, second[255] = 4;
    spec.routing.loads = {first, second};
    const RoutedExperts experts(spec, kShape);
    for (std::int32_t member = 1; member < 63; ++member) {
        EXPECT_GT(experts.rows(0, 0).rows, experts.rows(0, member).rows);
        EXPECT_GT(experts.rows(1, 63).rows, experts.rows(1, member).rows);
    }
}

}  // namespace
}  // namespace orrery
