// Sizes of shipped scenarios: against running every size by itself, and what cannot be sized.
#include "study/size.hpp"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/run.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kChat = "scenarios/serving/llama3_8b_a100_10k.json";
const std::string kApart = "scenarios/serving/deepseek_v3_h800_pd.json";

SizeAnswer size(const std::string& file, const std::vector<std::string>& sets,
                const std::vector<std::string>& pools = {}, bool every = false) {
    return size_scenario(load_scenario(file, sets),
                         {.profiles = "hw_profiles", .pools = pools, .every = every});
}
double value(const RunResult& result, const char* name) {
    const Metric* metric = result.find(name);
    return metric == nullptr ? -1 : metric->value;
}
std::string first_line(const SizeAnswer& answer) {
    return std::get<std::string>(answer.result.breakdown.front().rows.front()[1]);
}
std::string complaint(const std::string& file, const std::vector<std::string>& sets,
                      const std::vector<std::string>& pools = {}) {
    try {
        size(file, sets, pools);
    } catch (const InputError& e) {
        return e.what();
    }
    return "no complaint";
}

}  // namespace

// 1,500 chat requests at six times their rate. Each number of GPUs run as a scenario of its own:
// the fewest that keeps 99 % within the objectives is the search's, with the same events.
TEST(Size, IsWhatRunningEverySizeSays) {
    const std::vector<std::string> sets = {"workload.requests=1500", "workload.rate_scale=6"};
    const SizeAnswer answer = size(kChat, sets);
    ASSERT_TRUE(answer.best);
    const std::int64_t found = answer.tried[*answer.best].engines[0];
    EXPECT_GT(found, 2);
    for (std::int64_t n = 1; n <= found; ++n) {
        std::vector<std::string> all = sets;
        all.push_back(
            "deployment.pools=[{\"name\": \"chat\", \"prefill_tokens\": 4096, "
            "\"decode_sequences\": 128, \"engines\": " +
            std::to_string(n) + "}]");
        const RunResult one =
            run_scenario(load_scenario(kChat, all), {.profiles = "hw_profiles"}).result;
        EXPECT_EQ(value(one, "good_share") >= 0.99, n == found) << n;
        if (n == found) {
            EXPECT_EQ(answer.result.fingerprint, one.fingerprint);
        }
    }
    EXPECT_EQ(size(kChat, sets, {}, true).result.fingerprint, answer.result.fingerprint);
    EXPECT_THAT(first_line(answer), HasSubstr(fmt::format("{} chat engines = {} GPUs = 1 node; {} "
                                                          "chat engines: ",
                                                          found, found, found - 1)));
}

// Two pools: the settings used run again as a scenario, network and ranks of the new size included.
TEST(Size, OfTwoPoolsRunsAgain) {
    const SizeAnswer answer = size(kApart, {"workload.requests=200"}, {"prefill=2..3", "decode=2"});
    ASSERT_TRUE(answer.best);
    EXPECT_EQ(answer.tried[*answer.best].gpus, 2 * 32 + 2 * 144);
    const fs::path file = fs::temp_directory_path() / "orrery_size_used.json";
    std::ofstream(file) << answer.result.used;
    const RunResult again =
        run_scenario(load_scenario(file, {}), {.profiles = "hw_profiles"}).result;
    EXPECT_EQ(again.fingerprint, answer.result.fingerprint);
    EXPECT_EQ(value(again, "nodes"), 44);
    fs::remove(file);
}

// A prompt's first chunk alone takes longer than 1 ms: said without a replay.
TEST(Size, NoneKeepsAnObjectiveBelowTheFloor) {
    const SizeAnswer answer = size(kChat, {"workload.requests=300", "slo.ttft=1 ms"});
    EXPECT_FALSE(answer.best);
    EXPECT_TRUE(answer.tried.empty());
    EXPECT_THAT(first_line(answer), HasSubstr("no size: slo = 1.000 ms (time to first token): a "
                                              "prompt with "));
}

// The bound of 3 engines is above the 2 allowed.
TEST(Size, NoneOfThoseAllowed) {
    const SizeAnswer answer = size(kChat, {"workload.rate_scale=4"}, {"chat=1..2"});
    EXPECT_FALSE(answer.best);
    EXPECT_THAT(first_line(answer), HasSubstr("at least 3 chat engines, and at most 2 may be"));
}

// Users in a closed loop ask at the pace they are answered: one engine will do.
TEST(Size, OfAClosedLoop) {
    const SizeAnswer answer =
        size("scenarios/serving/deepseek_v3_infer_demo.json", {"slo.tpot_p99=1 s"});
    ASSERT_TRUE(answer.best);
    EXPECT_EQ(answer.tried[*answer.best].gpus, 16);
}

TEST(Size, NamesWhatIsWrong) {
    EXPECT_THAT(complaint(kChat, {"slo=null"}), HasSubstr("10k.json: slo: must be given"));
    EXPECT_THAT(complaint(kChat, {"slo={\"attainment\": 0.9}"}), HasSubstr("slo: must be given"));
    EXPECT_THAT(complaint(kChat, {"slo.attainment=2"}),
                HasSubstr("slo.attainment = 2: must be from 0 to 1"));
    EXPECT_THAT(complaint(kChat, {"slo.ttft_p98=2 s"}), HasSubstr("slo.ttft_p98"));
    EXPECT_THAT(complaint(kChat, {"slo.ttft_p99=0 s"}), HasSubstr("must be above 0"));
    EXPECT_THAT(complaint(kChat, {"scheduling.chat.autoscale={\"max\": 2}"}),
                HasSubstr("scheduling.chat.autoscale"));
    EXPECT_THAT(complaint(kChat, {"failures.at=[{\"pool\": \"chat\", \"engine\": 0, \"time\": "
                                  "\"1 s\"}]"}),
                HasSubstr("failures.at"));
    EXPECT_THAT(complaint("scenarios/training/llama3_8b_h100_8.json", {}),
                HasSubstr("kind = \"training\": must be \"serving\" to be sized"));
    EXPECT_THAT(complaint(kChat, {}, {"talk=1..2"}), HasSubstr("with a pool of chat"));
    EXPECT_THAT(complaint(kChat, {}, {"chat=2..1"}), HasSubstr("must be at most the most"));
    EXPECT_THAT(complaint(kChat, {}, {"chat=1..x"}), HasSubstr("whole numbers from 1"));
}

}  // namespace orrery
