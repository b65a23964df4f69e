#include "calibrate/preflight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/data_sheets.hpp"
#include "calibrate/plan.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

using testing::HasSubstr;

GpuState idle_h100() {
    GpuState s;
    s.driver_library = true;
    s.driver_cuda = s.program_cuda = 13000;
    s.devices = 1;
    s.name = "NVIDIA H100 80GB HBM3";
    s.major = 9;
    s.clock_reasons = 0x1 | 0x4;  // idle, power capped under load: no reason
    s.power_limit_w = s.default_power_limit_w = 700;
    return s;
}

TEST(Preflight, AnIdleH100IsCalibrated) { EXPECT_EQ(refusal(idle_h100(), {}), ""); }

TEST(Preflight, EachReasonIsNamed) {
    const auto with = [](auto change) {
        GpuState s = idle_h100();
        change(s);
        return refusal(s, {});
    };
    EXPECT_THAT(with([](GpuState& s) { s.driver_library = false; }), HasSubstr("no NVIDIA driver"));
    EXPECT_THAT(with([](GpuState& s) { s.driver_cuda = 12040; }),
                HasSubstr("speaks CUDA 12.4, must speak 13.0"));
    EXPECT_THAT(with([](GpuState& s) { s.devices = 0; }), HasSubstr("no CUDA device"));
    EXPECT_THAT(with([](GpuState& s) { s.index = 3; }), HasSubstr("--device 3: must be 0 to 0"));
    EXPECT_THAT(
        with([](GpuState& s) { s.name = "NVIDIA A100", s.major = 8; }),
        HasSubstr("(NVIDIA A100) has compute capability 8.0: the kernels are made for 9.0"));
    EXPECT_THAT(with([](GpuState& s) {
                    s.processes = {41, 42};
                }),
                HasSubstr("in use by processes 41, 42"));
    EXPECT_THAT(with([](GpuState& s) { s.utilization = 90; }), HasSubstr("busy (90 %)"));
    EXPECT_THAT(with([](GpuState& s) { s.clock_reasons = 0x48; }),
                HasSubstr("throttled (hardware slowdown, hardware thermal slowdown)"));
    EXPECT_THAT(with([](GpuState& s) { s.power_limit_w = 350; }),
                HasSubstr("capped at 350 W, 700 W by default"));
}

TEST(Preflight, BusyAndThrottledMayBeAllowed) {
    GpuState s = idle_h100();
    s.processes = {41};
    s.power_limit_w = 350;
    EXPECT_THAT(refusal(s, {.busy = true}), HasSubstr("capped"));
    EXPECT_THAT(refusal(s, {.throttled = true}), HasSubstr("in use"));
    EXPECT_EQ(refusal(s, {true, true}), "");
}

// 10 SMs at 1,000 MHz x 4,096 FLOP = 40.96 TFLOP/s; 2 x 2,000 MHz x 1,024 bit / 8 = 512 GB/s.
TEST(DataSheets, AnUnknownGpuIsWorkedOut) {
    const auto values = data_sheet({"NVIDIA X1", 9, 0, 10, 8e9, 1000, 2000, 1024});
    ASSERT_EQ(values.size(), 4u);
    EXPECT_EQ(values[1].value, "512 GB/s");
    EXPECT_EQ(values[2].value, "41 TFLOP/s");
    EXPECT_EQ(values[3].value, "82 TFLOP/s");
    EXPECT_EQ(values[2].from.origin, Origin::derived);
    EXPECT_THAT(values[2].from.source, HasSubstr("NVIDIA X1 has no data sheet here"));
    EXPECT_EQ(data_sheet({"NVIDIA H200", 9, 0, 132, 1, 1, 1, 1})[1].value, "4.8 TB/s");
}

TEST(Plan, OnlyTakesFamiliesAndGroups) {
    EXPECT_EQ(chosen_families({}).size(), all_families().size());
    const auto gemm = chosen_families({"gemm"});
    EXPECT_GE(gemm.size(), 2u);
    for (const FamilyPlan& f : gemm) EXPECT_STREQ(f.group, "gemm");
    ASSERT_EQ(chosen_families({"gemm_grid"}).size(), 1u);
    EXPECT_THROW(chosen_families({"gem"}), InputError);
}

TEST(Plan, EverythingTakesAtMostTenMinutes) {
    double seconds = 0;
    for (const FamilyPlan& f : all_families()) seconds += f.seconds;
    EXPECT_LE(seconds, 600);
}

// Families of 10, 20 and 40 s. The first took 15 s: what is ahead is stretched by 1.5, so at 20 s
// the second has 30 - 5 s left and the third 60.
TEST(Plan, ProgressStretchesWhatIsLeft) {
    Progress p({{"a", "a", 10, "", ""}, {"b", "b", 20, "", ""}, {"c", "c", 40, "", ""}});
    p.begin(0, 0);
    EXPECT_DOUBLE_EQ(p.seconds_left(4), 66);
    p.begin(1, 15);
    EXPECT_DOUBLE_EQ(p.seconds_left(20), 85);
    EXPECT_EQ(p.line(20), "[2/3 b] 0:20 elapsed, about 1:25 left");
    p.begin(2, 60);
    EXPECT_DOUBLE_EQ(p.seconds_left(300), 0);
}

}  // namespace
}  // namespace orrery::calibrate
