// Percentiles against sorted samples; a quantity over time against sums by hand.
#include "serving/sketch.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "serving/time_series.hpp"

namespace orrery {
namespace {

// Nearest rank, on all samples.
double exact(std::vector<std::int64_t> samples, double fraction) {
    std::sort(samples.begin(), samples.end());
    const auto rank =
        static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(samples.size())));
    return static_cast<double>(samples[std::max<std::size_t>(rank, 1) - 1]) * 1e-12;
}

TEST(DurationSketch, IsWithinItsErrorOfTheSortedSamples) {
    for (const double spread : {0.1, 2.0, 12.0}) {  // deviations of the logarithm
        std::vector<std::int64_t> samples;
        DurationSketch sketch;
        for (std::uint64_t i = 0; i < 5000; ++i) {
            const double value = 1e10 * std::exp(spread * counter_normal(3, 1, i));
            samples.push_back(static_cast<std::int64_t>(std::clamp(value, 0.0, 9e18)));
            sketch.add(SimDuration{samples.back()});
        }
        for (const double fraction : {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            const double wanted = exact(samples, fraction);
            EXPECT_NEAR(sketch.percentile(fraction).value(), wanted,
                        wanted * DurationSketch::kRelativeError)
                << spread << " " << fraction;
        }
    }
}

TEST(DurationSketch, SmallValuesAreExactAndOneValueAnswersAll) {
    DurationSketch sketch;
    for (int ps = 1; ps <= 100; ++ps) sketch.add(SimDuration{ps});
    EXPECT_DOUBLE_EQ(sketch.percentile(0.5).value(), 50e-12);
    EXPECT_DOUBLE_EQ(sketch.percentile(0.99).value(), 99e-12);
    EXPECT_DOUBLE_EQ(sketch.mean().value(), 50.5e-12);
    DurationSketch one;
    EXPECT_EQ(one.percentile(0.5).value(), 0);
    one.add(SimDuration{123'456'789}, 7);
    EXPECT_DOUBLE_EQ(one.percentile(0.99).value(), 123'456'789e-12);
    EXPECT_EQ(one.count(), 7);
}

TEST(DurationSketch, MergedIsAsIfAddedToOne) {
    DurationSketch both, odd, even;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const SimDuration value{static_cast<std::int64_t>(mix64(i) >> (i % 40 + 1))};
        both.add(value);
        (i % 2 == 0 ? even : odd).add(value);
    }
    even.merge(odd);
    for (const double fraction : {0.01, 0.5, 0.99}) {
        EXPECT_EQ(even.percentile(fraction), both.percentile(fraction));
    }
    EXPECT_EQ(even.greatest(), both.greatest());
    EXPECT_EQ(even.count(), 1000);
}

// 2 for 3 s, 5 for 1 s, 0 for 4 s: mean 11 / 8, greatest 5.
TEST(TimeSeries, MeanIsOverTime) {
    constexpr std::int64_t kSecond = 1'000'000'000'000;
    TimeSeries series;
    series.set(SimTime{0}, 2);
    series.add(SimTime{3 * kSecond}, 3);
    series.set(SimTime{4 * kSecond}, 0);
    EXPECT_DOUBLE_EQ(series.mean(SimTime{8 * kSecond}), 11.0 / 8);
    EXPECT_EQ(series.greatest(), 5);
    // 256 intervals of 1 ms become 128 of 64 ms, covering 8.192 s.
    const auto points = series.points(SimTime{8 * kSecond});
    EXPECT_LE(points.size(), 256U);
    double area = 0;
    for (const TimeSeries::Point& p : points) area += p.mean * (p.end - p.begin).value();
    EXPECT_NEAR(area, 11, 1e-9);
    EXPECT_EQ(points.front().greatest, 2);
    EXPECT_DOUBLE_EQ(points.back().end.value(), 8);
}

}  // namespace
}  // namespace orrery
