#include "calibrate/statistics.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace orrery::calibrate {
namespace {

// 9 samples 1..9: median 5; reach 1.96 * 3 / 2 = 2.94, middle index 4: interval x[1]..x[7] =
// 2..8, half-width 3, relative 3 / 5. 5th percentile is the 1st of 9, the 95th the 9th.
TEST(Statistics, MedianAndItsIntervalFromOrderStatistics) {
    const std::vector<double> v{9, 1, 8, 2, 7, 3, 6, 4, 5};
    const Summary s = summarize(v);
    EXPECT_EQ(s.n, 9u);
    EXPECT_DOUBLE_EQ(s.median, 5);
    EXPECT_DOUBLE_EQ(s.spread, 0.6);
    EXPECT_DOUBLE_EQ(s.low, 1);
    EXPECT_DOUBLE_EQ(s.high, 9);
}
TEST(Statistics, EvenCountTakesTheMeanOfTheMiddleTwo) {
    EXPECT_DOUBLE_EQ(summarize(std::vector<double>{1, 2, 4, 8}).median, 3);
}
TEST(Statistics, TooFewSamplesHaveNoInterval) {
    EXPECT_DOUBLE_EQ(summarize(std::vector<double>{2, 2, 2, 2}).spread, 1);
    EXPECT_EQ(summarize({}).n, 0u);
}
TEST(Statistics, OneOutlierMovesNeitherMedianNorInterval) {
    std::vector<double> v(40, 10.0);
    v[7] = 1000;
    const Summary s = summarize(v);
    EXPECT_DOUBLE_EQ(s.median, 10);
    EXPECT_DOUBLE_EQ(s.spread, 0);
}

TEST(Stopping, NeedsTheLeastCountAndThenAnyReason) {
    const StoppingRule rule{8, 40, 0.01, 0.4};
    EXPECT_FALSE(enough({7, 10, 0.0, 10, 10}, 9.0, rule));  // too few, whatever else
    EXPECT_TRUE(enough({8, 10, 0.009, 9, 11}, 0.0, rule));  // narrow
    EXPECT_FALSE(enough({8, 10, 0.02, 9, 11}, 0.1, rule));  // wide, and time left
    EXPECT_TRUE(enough({8, 10, 0.02, 9, 11}, 0.5, rule));   // time spent
    EXPECT_TRUE(enough({40, 10, 0.02, 9, 11}, 0.1, rule));  // enough samples
}

TEST(Throttling, ComparesWithTheHighestClock) {
    EXPECT_FALSE(throttled({10, 1980}, 1980));
    EXPECT_FALSE(throttled({10, 1925}, 1980));  // 97.2 %
    EXPECT_TRUE(throttled({10, 1900}, 1980));   // 96.0 %
    EXPECT_FALSE(throttled({10, 0}, 1980));     // clock unknown
}

// The first third is warm-up; the halves of the rest are compared.
TEST(Settling, LooksAtTheTail) {
    EXPECT_TRUE(settled(std::vector<double>{1980, 1900, 1500, 1502, 1499, 1501}));
    EXPECT_FALSE(settled(std::vector<double>{1980, 1950, 1900, 1850, 1800, 1750}));
    EXPECT_FALSE(settled(std::vector<double>{1500, 1500, 1500}));  // too short to say
}

}  // namespace
}  // namespace orrery::calibrate
