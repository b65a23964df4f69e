#include "calibrate/latency_fit.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

// 5 us + bytes / 100 GB/s: 1e5 bytes take 1 us more, 1e7 bytes 100 us more.
TEST(LatencyFit, FindsALineExactly) {
    const std::vector<CostPoint> points = {{0, 5}, {1e5, 6}, {1e7, 105}};
    const CostLine line = fit_cost(points);
    EXPECT_NEAR(line.latency_us, 5, 1e-9);
    EXPECT_NEAR(line.gigabytes_per_second(), 100, 1e-9);
    EXPECT_NEAR(line.microseconds(2e5), 7, 1e-9);
    const LeaveOneOut out = leave_one_out_fit(points);
    EXPECT_EQ(out.n, 3U);
    EXPECT_NEAR(out.worst, 0, 1e-9);
}

// Two sizes, no latency and no bandwidth to be negative: falling times give a constant, weighted by
// 1 / t^2: l = sum(1/t) / sum(1/t^2) = (1/4 + 1/2) / (1/16 + 1/4) = 2.4.
// Times that grow faster than the bytes give no latency: 1 / w = sum(b/t) / sum(b^2/t^2)
// = (1 + 1/2) / (1 + 1/4) = 1.2 us a byte.
TEST(LatencyFit, NeitherTermIsNegative) {
    const CostLine falling = fit_cost(std::vector<CostPoint>{{1, 4}, {2, 2}});
    EXPECT_NEAR(falling.latency_us, 2.4, 1e-12);
    EXPECT_EQ(falling.us_per_byte, 0);
    EXPECT_EQ(falling.gigabytes_per_second(), 0);
    const CostLine steep = fit_cost(std::vector<CostPoint>{{1, 1}, {2, 4}});
    EXPECT_EQ(steep.latency_us, 0);
    EXPECT_NEAR(steep.us_per_byte, 1.2, 1e-12);
    EXPECT_THROW(fit_cost(std::vector<CostPoint>{{1, 1}}), InputError);
}

// The least squares, found the slow way: no line of a fine grid has a smaller sum.
TEST(LatencyFit, NoLineOfAGridIsBetter) {
    std::mt19937 random(std::random_device{}());
    std::lognormal_distribution<double> noise(0, 0.3);
    std::vector<CostPoint> points;
    for (double b = 1e3; b < 1e9; b *= 4) points.push_back({b, (6 + b / 3e5) * noise(random)});
    const auto cost = [&](const CostLine& line) {
        double sum = 0;
        for (const CostPoint& p : points) {
            const double e = line.microseconds(p.bytes) / p.microseconds - 1;
            sum += e * e;
        }
        return sum;
    };
    const double fitted = cost(fit_cost(points));
    for (double l = 0; l < 20; l += 0.1)
        for (double w = 1e5; w < 1e6; w *= 1.05) EXPECT_GE(cost({l, 1 / w}) + 1e-9, fitted);
}

// Between (0, 10) and (4, 18) a straight line says 12 at 1 byte; 15 was measured: 20 % off. Between
// (1, 15) and (8, 22) it says 18 at 4: exact. The ends are not predicted. Median (20 + 0) / 2.
TEST(LatencyFit, TableLeavesOutInnerSizes) {
    const LeaveOneOut out =
        leave_one_out_table(std::vector<CostPoint>{{0, 10}, {1, 15}, {4, 18}, {8, 22}});
    EXPECT_EQ(out.n, 2U);
    EXPECT_NEAR(out.worst, 0.2, 1e-12);
    EXPECT_NEAR(out.median, 0.1, 1e-12);
    EXPECT_EQ(leave_one_out_table(std::vector<CostPoint>{{0, 1}, {1, 2}}).n, 0U);
    EXPECT_EQ(leave_one_out_fit(std::vector<CostPoint>{{0, 1}, {1, 2}}).n, 0U);
}

}  // namespace
}  // namespace orrery::calibrate
