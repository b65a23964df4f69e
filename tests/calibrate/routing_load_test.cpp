#include "calibrate/routing_load.hpp"

#include <set>

#include <gtest/gtest.h>

namespace orrery::calibrate {
namespace {

TEST(RoutingLoad, DrawsDistinctExpertsRepeatably) {
    const auto experts = draw_experts(Routing::balanced, 500, 1, 4, 7);
    ASSERT_EQ(experts.size(), 500U * 8);
    for (std::size_t t = 0; t < 500; ++t) {
        const std::set<int> distinct(experts.begin() + std::ptrdiff_t(t * 8),
                                     experts.begin() + std::ptrdiff_t(t * 8 + 8));
        EXPECT_EQ(distinct.size(), 8U);
        EXPECT_GE(*distinct.begin(), 0);
        EXPECT_LT(*distinct.rbegin(), 256);
    }
    EXPECT_EQ(experts, draw_experts(Routing::balanced, 500, 1, 4, 7));
    EXPECT_NE(experts, draw_experts(Routing::balanced, 500, 2, 4, 7));
    EXPECT_NE(experts, draw_experts(Routing::balanced, 500, 1, 4, 8));
}

// Uniform top-8 of 256 on 8 ranks misses a given rank with probability C(224,8)/C(256,8) = 0.3360,
// so a token reaches 8 x 0.664 = 5.312 ranks. 20,000 tokens: deviation of a rank's share
// sqrt(0.336 x 0.664 / 20,000) = 0.0033; six of them are 0.02.
TEST(RoutingLoad, BalancedReachesAllRanksAlike) {
    const auto rows = rows_by_destination(draw_experts(Routing::balanced, 20000, 0, 8, 3), 8);
    ASSERT_EQ(rows.size(), 8U);
    for (const auto n : rows) EXPECT_NEAR(double(n) / 20000, 0.664, 0.02);
}

// Two ranks, skewed: tokens 0, 2, 4 ... choose among experts 0..127, all on rank 0; the others
// miss a rank with probability C(128,8)/C(256,8) = 0.0035.
TEST(RoutingLoad, SkewedLoadsTheFirstHalf) {
    const auto rows = rows_by_destination(draw_experts(Routing::skewed, 10000, 1, 2, 3), 2);
    EXPECT_NEAR(double(rows[0]), 9982, 30);
    EXPECT_NEAR(double(rows[1]), 4982, 30);
}

// Token 0 has experts of ranks 0 and 1, token 1 of rank 3 alone (64 experts a rank).
TEST(RoutingLoad, ATokenGoesOnceToEachRank) {
    const std::vector<std::int32_t> experts = {0,   63,  64,  65,  1,   2,   3,   127,
                                               192, 200, 201, 202, 203, 255, 254, 253};
    EXPECT_EQ(rows_by_destination(experts, 4), (std::vector<std::int64_t>{1, 1, 0, 1}));
}

// Rank 0 sends 3 rows to itself and 5 to rank 1; rank 1 sends 7 to rank 0 and 1 to itself:
// received 10 and 6, of others 7 and 5.
TEST(RoutingLoad, CountsOwnRowsApart) {
    const RowCounts c = count_rows({{3, 5}, {7, 1}});
    EXPECT_EQ(c.received, 8);
    EXPECT_EQ(c.received_most, 10);
    EXPECT_EQ(c.from_others, 6);
    EXPECT_EQ(c.from_others_most, 7);
}

}  // namespace
}  // namespace orrery::calibrate
