#include "core/random.hpp"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

namespace orrery {
namespace {

// SplitMix64 from seed 0 gives e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f (published with
// the generator); its state advances by the golden-ratio constant.
TEST(Random, Mix64IsSplitMix64) {
    constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
    EXPECT_EQ(mix64(0), 0xe220a8397b1dcdafULL);
    EXPECT_EQ(mix64(kGolden), 0x6e789e6aa1b965f4ULL);
    EXPECT_EQ(mix64(2 * kGolden), 0x06c45d188009454fULL);
}

TEST(Random, ADrawDependsOnSeedComponentAndNumberOnly) {
    EXPECT_EQ(counter_hash(1, 2, 3), counter_hash(1, 2, 3));
    EXPECT_NE(counter_hash(1, 2, 3), counter_hash(2, 2, 3));
    EXPECT_NE(counter_hash(1, 2, 3), counter_hash(1, 3, 3));
    EXPECT_NE(counter_hash(1, 2, 3), counter_hash(1, 2, 4));
    EXPECT_NE(counter_hash(0, 1, 2), counter_hash(0, 2, 1));
}

// 64 bins of 100,000 draws: chi-squared has 63 degrees of freedom, mean 63, deviation sqrt(126) =
// 11.2; 63 + 5 x 11.2 = 119 is passed by chance about once in 10^5 seeds, and the seed is fixed.
TEST(Random, DrawsAreUniform) {
    for (const std::uint64_t component : {0ULL, 1ULL, 2047ULL}) {
        std::array<double, 64> bins{};
        for (std::uint64_t n = 0; n < 100'000; ++n) {
            const double u = counter_uniform(7, component, n);
            ASSERT_GE(u, 0.0);
            ASSERT_LT(u, 1.0);
            bins.at(static_cast<std::size_t>(u * 64)) += 1;
        }
        double chi_squared = 0;
        for (const double count : bins) chi_squared += (count - 1562.5) * (count - 1562.5) / 1562.5;
        EXPECT_LT(chi_squared, 119.0);
        EXPECT_GT(chi_squared, 20.0);
    }
}

// Neighbouring components are not correlated: the mean product of 100,000 centred pairs is 0 with a
// deviation of 1/12 / sqrt(100,000) = 0.00026.
TEST(Random, ComponentsAreIndependent) {
    double sum = 0;
    for (std::uint64_t n = 0; n < 100'000; ++n) {
        sum += (counter_uniform(7, 10, n) - 0.5) * (counter_uniform(7, 11, n) - 0.5);
    }
    EXPECT_NEAR(sum / 100'000, 0.0, 5 * 0.00026);
}

// Mean 0 +- 1/sqrt(n), variance 1 +- sqrt(2/n), fourth moment 3 +- sqrt(96/n), five deviations
// each.
TEST(Random, NormalHasItsMoments) {
    constexpr int kDraws = 100'000;
    double first = 0, second = 0, fourth = 0;
    for (std::uint64_t n = 0; n < kDraws; ++n) {
        const double x = counter_normal(7, 3, n);
        first += x;
        second += x * x;
        fourth += x * x * x * x;
    }
    EXPECT_NEAR(first / kDraws, 0.0, 5 * std::sqrt(1.0 / kDraws));
    EXPECT_NEAR(second / kDraws, 1.0, 5 * std::sqrt(2.0 / kDraws));
    EXPECT_NEAR(fourth / kDraws, 3.0, 5 * std::sqrt(96.0 / kDraws));
}

}  // namespace
}  // namespace orrery
