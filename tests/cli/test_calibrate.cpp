// orrery-calibrate as a user runs it, on a machine that has no GPU.
#include <algorithm>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool has_driver() { return dlopen("libcuda.so.1", RTLD_LAZY) != nullptr; }

void expect_calibrate_refused(const std::vector<std::string>& arguments,
                              const std::string& message) {
    expect_refused(run_calibrate(arguments), message);
}

TEST(CalibrateCommand, WithoutAGpuItSaysSoAndWritesNothing) {
    if (has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
    const TemporaryDir dir;
    expect_calibrate_refused({"--out", (dir / "my_gpu.json").string()}, "error: ");
    expect_calibrate_refused({"--out", (dir / "my_gpu.json").string(), "--only", "gemm"},
                             "error: ");
    EXPECT_THAT(dir.names(), IsEmpty());
}

TEST(CalibrateCommand, ListsItsFamilies) {
    const ProcessResult result = run_calibrate({"--list"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    for (const char* family : {"gemm", "grouped_gemm", "memory", "contention"})
        EXPECT_THAT(result.out, HasSubstr(family));
}

TEST(CalibrateCommand, BadInputIsOneLine) {
    expect_calibrate_refused({"--out", "x.json", "--only", "sorting"},
                             "--only sorting: must be one of");
    expect_calibrate_refused({}, "--out FILE: is needed");
    expect_calibrate_refused({"--frob"}, "--frob");
    expect_calibrate_refused({"--out", "x.json", "--missing", "none.json"},
                             "none.json: cannot be opened");
    expect_calibrate_refused({"--out", "x.json", "--from", "none.json"},
                             "none.json: cannot be opened");
}

// The measurements that this repository holds become a profile that a run takes at once.
TEST(CalibrateCommand, MeasurementsBecomeAProfileThatARunTakes) {
    const TemporaryDir dir;
    const std::string out = (dir / "my_gpu.json").string();
    const ProcessResult written =
        run_calibrate({"--out", out, "--from", "hw_profiles/measured/h100_sxm5.json"});
    EXPECT_EQ(written.exit_code, 0) << written.error;
    EXPECT_THAT(dir.names(), ElementsAre("my_gpu.json"));
    const ProcessResult shown = run_orrery({"profile", out});
    EXPECT_EQ(shown.exit_code, 0) << shown.error;
    const ProcessResult run = run_orrery({"run", "scenarios/training/deepseek_v3_h800_2048.json",
                                          "--set", "cluster.accelerator=" + out});
    EXPECT_EQ(run.exit_code, 0) << run.error;
    EXPECT_THAT(run.out, HasSubstr("NVIDIA H100 80GB HBM3"));
}

}  // namespace
}  // namespace orrery
