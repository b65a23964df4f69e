// The measured GEMM grid: hit exactly, predicted with a point left out, sane between and beyond.

#include "hardware/gemm_time.hpp"

#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "hardware/tile_fit.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

class MeasuredGemm : public ::testing::Test {
  protected:
    AcceleratorProfile profile = load_accelerator("h100_sxm5", kProfiles);
    OperatorTimeModel model{profile};

    Estimate time(const Gemm& gemm, Conditions conditions = {}) const {
        return model.time({"gemm", gemm}, conditions);
    }
};

TEST_F(MeasuredGemm, EveryMeasuredPointIsHit) {
    const DataTable& table = *profile.find_table("gemm");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        const Gemm gemm{static_cast<std::int64_t>(row[table.column("m")]),
                        static_cast<std::int64_t>(row[table.column("n")]),
                        static_cast<std::int64_t>(row[table.column("k")]),
                        parse_precision(table.texts[i][table.column("precision")], "test")};
        const auto sms = static_cast<std::int64_t>(row[table.column("sm")]);
        const Estimate estimate = time(gemm, {sms});
        EXPECT_NEAR(estimate.time.value() * 1e6 / row[table.column("time_us")], 1, 1e-9);
        EXPECT_EQ(estimate.origin, Origin::measured);
        EXPECT_EQ(estimate.spread, 0);
    }
}

// The aim of the project: median at most 3 %, 95 % of the points within 12 %.
TEST_F(MeasuredGemm, LeaveOneOut) {
    double worst_median = 0, weighted_p95 = 0, points = 0;
    for (const TableError& e : model.leave_one_out()) {
        if (e.table.rfind("gemm ", 0) != 0) continue;
        std::printf("%-32s %3zu points  median %4.1f %%  p95 %4.1f %%  worst %4.1f %%\n",
                    e.table.c_str(), e.errors.points, 100 * e.errors.median, 100 * e.errors.p95,
                    100 * e.errors.worst);
        worst_median = std::max(worst_median, e.errors.median);
        weighted_p95 += e.errors.p95 * static_cast<double>(e.errors.points);
        points += static_cast<double>(e.errors.points);
        EXPECT_LE(e.errors.p95, 0.12) << e.table;
    }
    EXPECT_GE(points, 270);
    EXPECT_LE(worst_median, 0.045);  // fewer SMs, block-scaled
    EXPECT_LE(weighted_p95 / points, 0.12);
}

// More work is never much faster: a larger m, n or k, or fewer SMs. The residual may dip by a few
// per cent between measured points.
TEST_F(MeasuredGemm, MoreWorkIsNotFaster) {
    double worst = 0;
    for (std::uint64_t i = 0; i < 4000; ++i) {
        const auto draw = [&](std::uint64_t j, double low, double high) {
            const double u = counter_uniform(7, i, j);
            return static_cast<std::int64_t>(low * std::pow(high / low, u));
        };
        const auto precision = static_cast<Precision>(i % 3);
        const Gemm small{draw(0, 64, 8192), draw(1, 512, 40000), draw(2, 512, 18432), precision};
        Gemm large = small;
        (i % 5 == 0 ? large.m : i % 5 == 1 ? large.n : large.k) *= 2;
        const double ratio = time(small).time / time(large).time;
        worst = std::max(worst, ratio);
        const double fewer = time(small).time / time(small, {112}).time;
        EXPECT_LE(fewer, 1.12) << small.m << " " << small.n << " " << small.k;
    }
    std::printf("doubling a dimension: at worst %.1f %% faster\n", 100 * (worst - 1));
    EXPECT_LE(worst, 1.10);
}

// Faster than the arithmetic peak or the memory is impossible, and absurdly slow is suspicious.
TEST_F(MeasuredGemm, ShapesOffTheGridStayPhysical) {
    for (const std::int64_t m : {1, 100, 1000, 6144, 20000}) {
        for (const std::int64_t n : {1024, 6144, 14336}) {
            for (const std::int64_t k : {1024, 4096, 14336}) {
                const Operator op{"gemm", Gemm{m, n, k, Precision::bf16}};
                const double t = model.time(op, {}).time.value();
                EXPECT_GT(t, flops(op).value() / 989e12);
                EXPECT_GT(t, bytes(op).value() / 3.35e12);
                const double roof = flops(op).value() / 989e12 + bytes(op).value() / 2.87e12;
                EXPECT_LT(t, 3 * roof + 10e-6) << m << " " << n << " " << k;
            }
        }
    }
}

// 8192 x 7168 x 16384 in BF16 is 1.924e12 FLOP; at the 750 TFLOP/s measured under continuous load
// it takes at least 2,565 us, in a burst 2,534 us were measured. A small GEMM is not power-limited.
TEST_F(MeasuredGemm, SustainedClock) {
    const Gemm large{8192, 7168, 16384, Precision::bf16};
    EXPECT_NEAR(time(large, {0, Clock::sustained}).time.value() * 1e6,
                2.0 * 8192 * 7168 * 16384 / 750e6, 0.01);
    const Gemm small{64, 2112, 7168, Precision::bf16};
    EXPECT_EQ(time(small, {0, Clock::sustained}).time, time(small).time);
}

TEST_F(MeasuredGemm, TheProfilesConstantsAreTheFit) {
    const GemmTimes times(profile);
    for (const Precision p : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block}) {
        const auto samples = tile_samples(profile, p);
        const TileFit fit = fit_tile_model(samples, times.device(), tile_start(profile, p));
        EXPECT_LT(tile_error(samples, times.device(), *times.constants(p)), fit.error * 1.01);
    }
}

}  // namespace
}  // namespace orrery
