#include "serving/expert_pace.hpp"

#include <gtest/gtest.h>

#include "engines.hpp"

namespace orrery {
namespace {

EngineSpec skewed(double skew, std::int64_t redundant, bool eplb) {
    EngineSpec spec = test::deepseek_engine(32);
    spec.routing.kind = RoutingKind::drawn;
    spec.routing.affinity.skew = skew;
    spec.routing.redundant = redundant;
    spec.routing.eplb = eplb;
    spec.routing.layers = 2;
    return spec;
}

double imbalance(const EngineSpec& spec) {
    ExpertPace pace(spec, *spec.model.layers.back().moe, false);
    return pace.at(1024).imbalance;
}

// 32 ranks x 1024 tokens x 8 experts / 32 ranks = 8192 rows, 8 experts of 1024 each: no padding.
// Low latency: 32 x 64 x 8 / 32 = 512 rows.
TEST(ExpertPace, BalancedRoutingByHand) {
    const EngineSpec spec = test::deepseek_engine(32);
    const MoeSpec& moe = *spec.model.layers.back().moe;
    ExpertPace prefill(spec, moe, false), decode(spec, moe, true);
    EXPECT_EQ(prefill.at(1024).load.rows, 8192);
    EXPECT_EQ(prefill.at(1024).load.experts, 8);
    EXPECT_NEAR(prefill.at(1024).imbalance, 1, 1e-9);
    EXPECT_EQ(decode.at(64).load.rows, 512);
    EXPECT_EQ(decode.at(64).load.experts, 8);
}

// A low-latency dispatch of 64 tokens to 8 experts: 512 messages of 7168 + 4 x 56 + 16 bytes, of
// which those to other nodes, 24 of 32 ranks, take the NIC at 0.98 x 50 GB/s and 3 ns each.
TEST(ExpertPace, LowLatencyFlightByHand) {
    const EngineSpec spec = test::deepseek_engine(32);
    ExpertPace decode(spec, *spec.model.layers.back().moe, true);
    const double messages = 512.0 * 24 / 32;
    const double flight = messages * ((7168 + 224 + 16) / 49e9 + 3e-9);
    EXPECT_NEAR(decode.at(64).dispatch, flight, 0.1 * flight);
    EXPECT_NEAR(decode.at(64).kernel, 37e-6 / 2, 1e-12);
}

TEST(ExpertPace, SkewUnbalancesAndRedundantExpertsBalance) {
    const double even = imbalance(skewed(0, 0, false));
    const double plain = imbalance(skewed(1, 0, false));
    const double spread = imbalance(skewed(1, 32, true));
    EXPECT_LT(even, 1.15);
    EXPECT_GT(plain, 1.5);
    EXPECT_LT(spread, plain);
    EXPECT_GE(spread, 1);
}

// Beyond 65,536 tokens of a group fewer are drawn, and what they move is scaled.
TEST(ExpertPace, LargeBatchesScale) {
    const EngineSpec spec = skewed(0.5, 0, false);
    ExpertPace pace(spec, *spec.model.layers.back().moe, false);
    const ExpertPaceAt four = pace.at(4096);
    const double rows = static_cast<double>(four.load.rows), dispatch = four.dispatch;
    EXPECT_NEAR(static_cast<double>(pace.at(8192).load.rows) / rows, 2, 0.02);
    EXPECT_NEAR(pace.at(8192).dispatch / dispatch, 2, 0.02);
}

// Experts inside a tensor group: no transfers, the rank with the busiest experts is slowest.
TEST(ExpertPace, InsideAGroupNothingIsSent) {
    EngineSpec spec = skewed(1, 0, false);
    spec.plan.tp = 16;
    spec.plan.dp = 1;
    spec.plan.ep = 16;
    ExpertPace pace(spec, *spec.model.layers.back().moe, true);
    EXPECT_EQ(pace.at(128).dispatch, 0);
    EXPECT_GT(pace.at(128).load.rows, 128 * 8 / 16);
}

}  // namespace
}  // namespace orrery
