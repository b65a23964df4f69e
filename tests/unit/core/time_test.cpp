#include "core/time.hpp"

#include <cstdint>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

// 1 us = 10^6 ps; 0.4 ps rounds to 0, 0.6 ps to 1; 19.926 s is 19,926,000,000,000 ps exactly.
TEST(Time, SecondsRoundToTheNearestPicosecond) {
    EXPECT_EQ(to_sim_duration(Seconds(1e-6)).ps, 1'000'000);
    EXPECT_EQ(to_sim_duration(Seconds(0.4e-12)).ps, 0);
    EXPECT_EQ(to_sim_duration(Seconds(0.6e-12)).ps, 1);
    EXPECT_EQ(to_sim_duration(Seconds(19.926)).ps, 19'926'000'000'000);
    EXPECT_EQ(to_sim_duration(Seconds(0)).ps, 0);
}

TEST(Time, ConvertsBackToSeconds) {
    EXPECT_DOUBLE_EQ(to_seconds(SimDuration{19'926'000'000'000}).value(), 19.926);
    EXPECT_DOUBLE_EQ(to_seconds(SimTime{25'000'000}).value(), 25e-6);
}

// 2^63 ps = 9,223,372 s = 106.75 days.
TEST(Time, DurationsOutsideTheRangeAreErrors) {
    EXPECT_NO_THROW(to_sim_duration(Seconds(9.1e6)));
    EXPECT_THROW(to_sim_duration(Seconds(9.3e6)), std::overflow_error);
    EXPECT_THROW(to_sim_duration(Seconds(-1e-12)), std::overflow_error);
    EXPECT_THROW(to_sim_duration(Seconds(std::numeric_limits<double>::infinity())),
                 std::overflow_error);
    EXPECT_THROW(to_sim_duration(Seconds(std::numeric_limits<double>::quiet_NaN())),
                 std::overflow_error);
}

TEST(Time, ArithmeticNeverWraps) {
    EXPECT_EQ((SimTime{kLast - 1} + SimDuration{1}).ps, kLast);
    EXPECT_THROW(SimTime{kLast} + SimDuration{1}, std::overflow_error);
    EXPECT_THROW(SimDuration{kLast} + SimDuration{1}, std::overflow_error);
    EXPECT_EQ((SimDuration{kLast / 3} * 3).ps, kLast / 3 * 3);
    EXPECT_THROW(SimDuration{kLast / 3 + 1} * 3, std::overflow_error);
    EXPECT_EQ((SimTime{7} - SimTime{3}).ps, 4);
}

}  // namespace
}  // namespace orrery
