// Serving as a user runs it: answers, wrong traces, what does not go together.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kChat = "scenarios/serving/llama3_8b_a100_10k.json";

class ServingTrace : public testing::Test {
  protected:
    void TearDown() override { fs::remove(file_); }
    ProcessResult run(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments = {"run", kChat, "--set",
                                              "workload.trace=" + file_.string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_orrery(arguments);
    }
    const fs::path file_ = fs::temp_directory_path() /
                           (std::string("orrery_cli_trace_") +
                            testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv");
    const std::string header_ = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
};

}  // namespace

TEST(ServingRun, PrintsLatencyThroughputCostAndAVerdict) {
    const ProcessResult result = run_orrery({"run", kChat, "--set", "workload.requests=300"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    for (const char* text : {"STABLE", "time to first token, 99 %", "output tokens, a GPU",
                             "cost of a million output tokens", "KV cache in use"}) {
        EXPECT_THAT(result.out, HasSubstr(text));
    }
    EXPECT_EQ(result.error, "");
}

TEST(ServingRun, NeedsATrainingScenarioForATimeline) {
    const ProcessResult result = run_orrery({"run", kChat, "--trace", "never_written.json"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, HasSubstr("--trace: needs a training scenario"));
    EXPECT_FALSE(fs::exists("never_written.json"));
}

TEST_F(ServingTrace, AWrongLineIsOneErrorWithItsNumber) {
    std::ofstream(file_) << header_ << "1,10,5\n2,-10,5\n3,10\n4,10,5\n";
    const ProcessResult result = run();
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.error, HasSubstr(file_.string() +
                                        ":3: ContextTokens = -10: must be a whole number from 1"));
    const ProcessResult skipped = run({"--skip-bad-lines"});
    EXPECT_EQ(skipped.exit_code, 0) << skipped.error;
    EXPECT_THAT(skipped.out, HasSubstr("2 lines of the trace were wrong and skipped"));
    EXPECT_THAT(skipped.out, HasSubstr("2 arrived"));
}

// A file that is one line of 10 GB (of zeros, that take no room on the disk) ends at its first MiB.
TEST_F(ServingTrace, ALineOfTenGigabytes) {
    std::ofstream(file_) << header_ << "1,10,5\n";
    std::error_code refused;
    fs::resize_file(file_, std::uintmax_t{10} << 30, refused);
    if (refused) GTEST_SKIP() << "no room for a sparse file: " << refused.message();
    const ProcessResult result = run();
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, HasSubstr(":3: must be a line of at most 1048576 bytes"));
}

}  // namespace orrery
