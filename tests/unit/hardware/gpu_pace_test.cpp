#include "hardware/gpu_pace.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

AcceleratorProfile with_pace(const std::string& rows) {
    AcceleratorProfile profile = load_accelerator("h100_sxm5", kProfiles);
    std::erase_if(profile.tables, [](const DataTable& t) { return t.name == "pace"; });
    const std::string text =
        R"({"origin": "measured", "source": "test", "columns": ["load", "kernels", "mean", "deviation"],
            "rows": [)" +
        rows + "]}";
    profile.tables.push_back(read_data_table(ConfigNode::parse(text, "pace.json"), "pace"));
    return profile;
}

const char* const kRows = R"(["layer_mix", "compute-bound", 0.98, 0.02],
                             ["layer_mix", "memory-bound", 1.0, 0.01],
                             ["layer_mix", "all", 0.99, 0.018],
                             ["decode_mix", "compute-bound", 1.0, 0.005])";

// E[max] = integral of (1 - F^n) over x > 0 less that of F^n over x < 0, by small steps.
double integrated(double n) {
    double sum = 0;
    for (double x = -9.9995; x < 10; x += 0.001) {
        const double below = std::pow(0.5 * std::erfc(-x / std::sqrt(2.0)), n);
        sum += 0.001 * (x > 0 ? 1 - below : -below);
    }
    return sum;
}

TEST(GpuPace, ExpectedLargestOfNormalNumbers) {
    EXPECT_EQ(expected_largest(0), 0);
    EXPECT_EQ(expected_largest(1), 0);
    for (const double n : {2., 3., 8., 16., 32., 64., 144., 2048.}) {
        EXPECT_NEAR(expected_largest(n), integrated(n), 0.026) << n;
    }
}

// 64 GPUs: 2.35 deviations (2.344 exact).
TEST(GpuPace, SlowestOfMany) {
    const GpuPace pace(with_pace(kRows));
    EXPECT_NEAR(pace.slowest(OperatorClass::gemm, false, 64), 0.98 * (1 + 0.02 * 2.344), 6e-4);
    EXPECT_NEAR(pace.slowest(OperatorClass::memory, false, 64), 1 + 0.01 * 2.344, 3e-4);
    EXPECT_NEAR(pace.slowest(OperatorClass::attention, true, 64), 1 + 0.005 * 2.344, 2e-4);
    // No rows of memory-bound kernels in decoding: the other load's.
    EXPECT_EQ(pace.slowest(OperatorClass::memory, true, 64),
              pace.slowest(OperatorClass::memory, false, 64));
    EXPECT_EQ(pace.slowest(OperatorClass::grouped_gemm, false, 1), 0.98);
    EXPECT_EQ(pace.deviation(), 0.018);
}

TEST(GpuPace, WithoutRowsAllAreAlike) {
    AcceleratorProfile profile = with_pace(kRows);
    std::erase_if(profile.tables, [](const DataTable& t) { return t.name == "pace"; });
    const GpuPace pace(profile);
    EXPECT_FALSE(pace.known());
    EXPECT_EQ(pace.slowest(OperatorClass::gemm, false, 2048), 1);
}

TEST(GpuPace, RefusesWhatCannotBe) {
    EXPECT_THROW(GpuPace(with_pace(R"(["layer_mix", "all", 0.99, -0.1])")), InputError);
    EXPECT_THROW(GpuPace(with_pace(R"(["layer_mix", "all", 3, 0.1])")), InputError);
}

// A burst on one GPU, and that very GPU under load, know nothing of others.
TEST(GpuPace, ChangesTimesUnderLoadOfOthersOnly) {
    const OperatorTimeModel model(with_pace(kRows));
    const Operator op{"op", Gemm{4096, 7168, 16384, Precision::fp8_block, false}};
    const auto time = [&](Clock clock, std::int64_t gpus) {
        return model.time(op, {0, clock, gpus}).time.value();
    };
    EXPECT_EQ(time(Clock::burst, 64), time(Clock::burst, 0));
    const double own = time(Clock::sustained, 0);
    EXPECT_NEAR(time(Clock::sustained, 1) / own, 0.98, 1e-12);
    EXPECT_NEAR(time(Clock::sustained, 64) / own, 0.98 * (1 + 0.02 * 2.344), 6e-4);
}

// hw_profiles/accelerators/h100_sxm5.json, rows decode_mix of table sustained: over the burst of
// the same run 1.03-1.04 for attention; the median of the five GEMMs stands for BF16, which has
// none.
TEST(DecodeLoad, FactorsOfAContinuousDecodingLayer) {
    const OperatorTimeModel model(load_accelerator("h100_sxm5", kProfiles));
    const auto factor = [&](const decltype(Operator::shape)& shape) {
        const Operator op{"op", shape};
        const double load = model.time(op, {0, Clock::decoding}).time.value();
        return load / model.time(op, {0, Clock::burst}).time.value();
    };
    Attention a{AttentionPass::decode, 64, 2, 4096, 128, 1, 576, 512, true};
    EXPECT_NEAR(factor(a), 1.035, 0.012);
    EXPECT_NEAR(factor(Gemm{128, 7168, 16384, Precision::fp8_block, false}), 0.98, 0.012);
    EXPECT_NEAR(factor(Gemm{128, 2112, 7168, Precision::fp8_block, false}), 1.12, 0.03);
    const double typical = factor(Gemm{128, 7168, 16384, Precision::bf16, false});
    EXPECT_EQ(factor(Gemm{64, 512, 512, Precision::bf16, false}), typical);
    EXPECT_GT(typical, 1.0);
    EXPECT_LT(typical, 1.08);
    // A training layer's kernels pull the clock down further.
    const Operator op{"op", Gemm{4096, 7168, 16384, Precision::fp8_block, false}};
    EXPECT_GT(model.time(op, {0, Clock::sustained}).time.value(),
              model.time(op, {0, Clock::burst}).time.value());
}

}  // namespace
}  // namespace orrery
