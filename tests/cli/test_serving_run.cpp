// Serving as a user runs it: answers, wrong traces, what does not go together.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

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

// Nothing is left, so nothing is printed as though it had been measured.
TEST_F(ServingTrace, NothingLeftAfterBadLines) {
    std::ofstream(file_) << header_ << "x,10,5\n2,-10,5\n";
    expect_refused(run({"--skip-bad-lines"}),
                   file_.string() +
                       ": 2 lines wrong and skipped, nothing is left: must hold at "
                       "least one request");
    std::ofstream(file_) << header_;
    expect_refused(run(), file_.string() + ": must hold at least one request");
}

TEST_F(ServingTrace, NamedGzippedAndIsNot) {
    const fs::path named = file_.string() + ".gz";
    std::ofstream(named) << header_ << "1,10,5\n";
    expect_refused({"run", kChat, "--set", "workload.trace=" + named.string()},
                   named.string() + ": must be gzipped, as its name says");
    fs::remove(named);
}

// A pipe's lines would be gone after the first look.
TEST_F(ServingTrace, APipeIsRefused) {
    ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
    expect_refused(run(), file_.string() + ": must be a regular file, is read more than once");
}

// 1,787 s of trace a million times, or a request every 32 years, are beyond simulated time.
TEST(ServingRun, ArrivalsStayInTheRangeOfTime) {
    expect_refused({"run", kChat, "--set", "workload.repeat=1000000000"},
                   "error: --set workload.repeat = 1000000000: must be <= 1000000");
    expect_refused({"run", kChat, "--set", "workload.repeat=1000000"},
                   "error: --set workload.repeat = 1000000: 1787 s of arrivals each: must end "
                   "before 9e+06 s");
    const std::string all =
        "workload={\"format\": \"synthetic\", \"prompt\": 10, \"output\": 5, "
        "\"requests\": 3, \"arrivals\": {\"process\": \"fixed\", \"rate\": ";
    expect_refused({"run", kChat, "--set", all + "1e-9}}"},
                   "error: --set workload.arrivals.rate = 1e-09: 3 requests take 3e+09 s: must "
                   "take less than 9e+06 s");
    // Within a day only the first comes, at 40,000 s and 80,000 s.
    const ProcessResult day =
        run_orrery({"run", kChat, "--set", all + "25e-6}}", "--set", "workload.duration=1 d"});
    EXPECT_EQ(day.exit_code, 0) << day.error;
    EXPECT_THAT(day.out, HasSubstr("2 arrived in 80000 s"));
    const ProcessResult slowed = run_orrery({"run", kChat, "--set", "workload.rate_scale=1e-6"});
    expect_refused(slowed, "workload: a request arrives after 9e+06 s");
}

TEST(ServingRun, SaysThatTheTimeLimitEndedIt) {
    const ProcessResult result = run_orrery({"run", kChat, "--set", "run.time_limit=20 s"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("STABLE: on average"));
    EXPECT_THAT(result.out, HasSubstr("; the time limit ended the run"));
}

// One engine that fails every second and takes 300 s to come back: no request gets through, and the
// verdict says why.
TEST(ServingRun, FailuresThatLoseEverythingAreTheVerdict) {
    const ProcessResult result =
        run_orrery({"run", kChat, "--set", "workload.requests=100", "--set",
                    "failures={\"mean_time_between\": \"1 ms\"}"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("FAILING: 100 of 100 requests lost, engines failed"));
    EXPECT_THAT(result.out, testing::Not(HasSubstr("time to first token")));
}

TEST(ServingRun, SmallerThanANodeHasNoFiguresOfANode) {
    const ProcessResult result = run_orrery({"run", kChat, "--set", "workload.requests=1"});
    EXPECT_THAT(result.out, HasSubstr("GPUs, mean over the run"));
    EXPECT_THAT(result.out, testing::Not(HasSubstr("a node  ")));
    EXPECT_THAT(result.out, testing::Not(HasSubstr("1 GPUs")));
    EXPECT_THAT(result.out, testing::Not(HasSubstr("1 requests ")));
}

TEST(ServingRun, PoolsAndExpertsAreNamed) {
    const std::pair<const char*, const char*> chat[] = {
        {"run.time_limit=0 s", "error: --set run.time_limit = \"0 s\": must be above 0"},
        {R"(failures={"at": [{"pool": "chat", "engine": 0, "time": "1e300 s"}]})",
         "error: --set failures.at[0].time = \"1e300 s\": must be at most 9e6 s"},
        {R"(deployment.pools=[{"name": ""}])", "names must not be empty and have no dot"},
        {R"(deployment.pools=[{"name": "chat", "engines": 9}])",
         "take 9 GPUs, must take at most the 8 of 1 node"},
    };
    for (const auto& [set, message] : chat) {
        const bool pools = std::string(set).starts_with("deployment");
        expect_refused({"run", kChat, "--set", set, "--set",
                        pools ? "scheduling=null" : "workload.requests=10"},
                       message);
    }
    const std::string pd = "scenarios/serving/deepseek_v3_h800_pd.json";
    expect_refused({"run", pd, "--set", "scheduling=null", "--set",
                    R"(deployment.pools=[{"name": "p", "role": "prefill", "nodes": 4}])"},
                   "error: --set deployment.pools: there is a prefill pool: must have a decode "
                   "pool too");
    expect_refused({"run", pd, "--set", "scheduling=null", "--set",
                    R"(deployment.pools=[{"name": "p", "dp": 7, "ep": 7}])"},
                   "error: --set deployment.pools[0].ep = 7: must let ep = 7 divide 256 experts "
                   "and 0 redundant ones, as redundant_experts = 3 would");
}

// A file that is one line of 10 GB (of zeros, that take no room on the disk) ends at its first MiB.
// 70 GB of the A100's 80 hold weights and cache: no 100 million tokens of 131,072 B.
TEST(ServingRun, ObjectivesAndCachesThatCannotBe) {
    const auto error_of = [](const std::string& set) {
        const ProcessResult result = run_orrery({"run", kChat, "--set", set});
        EXPECT_EQ(result.exit_code, 2) << set;
        EXPECT_EQ(result.out, "");
        return result.error;
    };
    EXPECT_THAT(error_of("slo.ttft=0 s"), HasSubstr("slo.ttft = \"0 s\": must be above 0"));
    EXPECT_THAT(error_of("slo.attainment=0"), HasSubstr("must be above 0"));
    EXPECT_THAT(error_of("scheduling.chat.kv.tokens=100000000"),
                HasSubstr("what weights, buffers and runtime leave"));
    EXPECT_THAT(error_of("deployment.gpu_pace=slowest"), HasSubstr("has no table pace"));
}

// Eight times the load grows a queue: a comparison must not show its cost as a gain.
TEST(ServingRun, ACaseThatIsOverloadedSaysSoInAComparison) {
    const ProcessResult result =
        run_orrery({"compare", kChat, "--over", "workload.rate_scale=1,8"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("workload.rate_scale=8: OVERLOADED"));
    EXPECT_THAT(result.out, Not(HasSubstr("workload.rate_scale=1:")));
}

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
