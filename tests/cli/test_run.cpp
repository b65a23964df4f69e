// The commands as a user runs them: answers, files, interrupts, two runs at once.
#include <chrono>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kLlama = "scenarios/training/llama3_8b_h100_8.json";
const std::string kDeepSeek = "scenarios/training/deepseek_v3_h800_2048.json";

constexpr const char* kMetrics[] = {"step_time",      "time_1f",         "time_1b",
                                    "time_1w",        "time_1f1b",       "time_bubble",
                                    "time_optimizer", "chunk_pair_time", "tokens_per_day",
                                    "mfu_causal",     "mfu_non_causal",  "gpu_hours",
                                    "cost",           "peak_memory",     "fits_memory"};

ConfigNode json_of(const ProcessResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return ConfigNode::parse(result.out, "stdout");
}

double metric(const ConfigNode& result, const std::string& name) {
    return result.at("metrics").at(name).at("value").as_number();
}

}  // namespace

TEST(Run, PrintsTheAnswerAndNothingElse) {
    const ProcessResult result = run_orrery({"run", kLlama});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr("time per step"));
    EXPECT_THAT(result.out, HasSubstr("weakest origin"));
    EXPECT_THAT(result.out, Not(HasSubstr("\033")));
    EXPECT_EQ(result.error, "");  // no progress in a pipe
}

TEST(Run, JsonHasEveryDocumentedMetricAndCount) {
    for (const std::string& scenario : {kLlama, kDeepSeek}) {
        const ConfigNode result = json_of(run_orrery({"run", scenario, "--format", "json"}));
        for (const std::string name : kMetrics) {
            // A dense model has no pair of MoE chunks.
            const bool expected = scenario == kDeepSeek || name != "chunk_pair_time";
            EXPECT_EQ(result.at("metrics").has(name), expected) << name;
        }
        for (const char* name : {"events", "operators", "ranks", "ranks_simulated"}) {
            EXPECT_GT(result.at(name).as_integer(), 0) << name;
        }
        EXPECT_EQ(result.at("fingerprint").as_string().size(), 32U);
        EXPECT_FALSE(result.at("program").at("version").as_string().empty());
    }
}

// step_time = 1F + 1B + 1W + 1F1B + bubble + optimizer, to the picosecond.
TEST(Run, PartsAddUpToTheStep) {
    const ConfigNode result = json_of(run_orrery({"run", kDeepSeek, "--format", "json"}));
    double sum = 0;
    for (const char* part :
         {"time_1f", "time_1b", "time_1w", "time_1f1b", "time_bubble", "time_optimizer"}) {
        sum += metric(result, part);
    }
    EXPECT_NEAR(sum, metric(result, "step_time"), 0.5e-12);
}

TEST(Run, OutAndTraceAppearCompleteAndAlone) {
    const TemporaryDir dir;
    const ProcessResult result =
        run_orrery({"run", kLlama, "--format", "json", "--out", dir / "new" / "out", "--trace",
                    dir / "trace.json", "--trace-ranks", "0,5"});
    json_of(result);
    EXPECT_THAT(dir.names(), ElementsAre("new", "new/out", "new/out/result.json", "trace.json"));
    EXPECT_EQ(read_text(dir / "new" / "out" / "result.json"), result.out);
    const ConfigNode events =
        ConfigNode::parse(read_text(dir / "trace.json"), "trace").at("traceEvents");
    std::set<std::int64_t> ranks;
    for (const ConfigNode& event : events.elements()) ranks.insert(event.at("pid").as_integer());
    EXPECT_THAT(ranks, ElementsAre(0, 5));
}

TEST(Run, InterruptLeavesNothingHalfWritten) {
    const TemporaryDir dir;
    Process process({"run", kDeepSeek, "--set", "run.fold=none", "--out", dir / "out", "--trace",
                     dir / "trace.json", "--trace-all", "--trace-ranks", "0,128,256,512"});
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    process.signal(SIGINT);
    const ProcessResult result = process.wait();
    if (result.exit_code == 0) GTEST_SKIP() << "the run ended before the interrupt";
    EXPECT_EQ(result.exit_code, 130);
    EXPECT_THAT(result.error, HasSubstr("interrupted"));
    for (const std::string& name : dir.names()) {
        EXPECT_THAT(name, Not(HasSubstr(".part")));
        if (name == "out/result.json" || name == "trace.json") {
            ConfigNode::parse(read_text(dir / name), name);  // complete
        }
    }
}

TEST(Run, TwoAtOnceIntoOneDirectoryDoNotMix) {
    const TemporaryDir dir;
    const auto arguments = [&](const std::string& tp) {
        return std::vector<std::string>{
            "run",        kLlama,      "--set",   "plan.tp=" + tp,
            "--out",      dir / "out", "--trace", dir / "out" / "trace.json",
            "--trace-all"};
    };
    Process first(arguments("1")), second(arguments("2"));
    EXPECT_EQ(first.wait().exit_code, 0);
    EXPECT_EQ(second.wait().exit_code, 0);
    EXPECT_THAT(dir.names(), ElementsAre("out", "out/result.json", "out/trace.json"));
    ConfigNode::parse(read_text(dir / "out" / "result.json"), "result.json");
    ConfigNode::parse(read_text(dir / "out" / "trace.json"), "trace.json");
}

TEST(Run, FoundFromAnotherDirectoryByItsPath) {
    const std::string here = std::filesystem::current_path().string();
    const TemporaryDir dir;
    const std::string scenario = here + "/" + kLlama;
    const ProcessResult result = run_orrery({"run", scenario, "--format", "json"});
    EXPECT_EQ(result.exit_code, 0) << result.error;
}

TEST(Compare, PutsCasesSideBySideAndSaysWhatIsImpossible) {
    const ConfigNode result =
        json_of(run_orrery({"compare", kLlama, "--over", "plan.tp=1,2,3", "--over",
                            "train.sequences=64", "--format", "json"}));
    const ConfigNode cases = result.at("cases");
    ASSERT_EQ(cases.size(), 3U);
    EXPECT_EQ(cases.at(1).at("settings").at("plan.tp").as_string(), "2");
    EXPECT_GT(metric(cases.at(1).at("result"), "step_time"), 0);
    EXPECT_THAT(cases.at(2).at("impossible").as_string(), HasSubstr("plan.tp = 3: must divide"));
}

TEST(Validate, PrintsPublishedPredictedAndError) {
    const ProcessResult text = run_orrery({"validate", "chunk_pair"});
    EXPECT_EQ(text.exit_code, 0) << text.error;
    EXPECT_THAT(text.out, HasSubstr("129.012 ms"));
    const ConfigNode result = json_of(run_orrery({"validate", "--format", "json"}));
    std::int64_t figures = 0;
    for (const ConfigNode& one : result.at("cases").elements()) {
        for (const ConfigNode& figure : one.at("figures").elements()) {
            ++figures;
            EXPECT_FALSE(figure.at("citation").as_string().empty());
            EXPECT_NEAR(figure.at("error").as_number(),
                        figure.at("predicted").as_number() / figure.at("published").as_number() - 1,
                        1e-12);
        }
    }
    EXPECT_GE(figures, 23);
}

TEST(Help, EveryCommandHasOne) {
    const ProcessResult help = run_orrery({"--help"});
    EXPECT_EQ(help.exit_code, 0);
    for (const char* name : {"run", "compare", "validate", "model", "schedule", "operator"}) {
        EXPECT_THAT(help.out, HasSubstr(name));
        EXPECT_EQ(run_orrery({name, "--help"}).exit_code, 0) << name;
    }
    EXPECT_THAT(run_orrery({"--version"}).out, HasSubstr("orrery 0."));
}

}  // namespace orrery
