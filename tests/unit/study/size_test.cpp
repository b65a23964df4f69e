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

// Two pools over two nodes that share a fabric: the settings used run again as a scenario, network
// and ranks of the new size included.
TEST(Size, OfTwoPoolsRunsAgain) {
    const SizeAnswer answer = size(
        kChat,
        {"cluster={\"profile\": \"h800_ib_2048\"}", "scheduling=null", "workload.requests=500",
         "deployment.pools=[{\"name\": \"p\", \"role\": \"prefill\"}, {\"name\": \"d\", \"role\": "
         "\"decode\"}]"},
        {"p=6..7", "d=6"});
    ASSERT_TRUE(answer.best);
    EXPECT_EQ(answer.tried[*answer.best].gpus, 12);
    const fs::path file = fs::temp_directory_path() / "orrery_size_used.json";
    std::ofstream(file) << answer.result.used;
    const RunResult again =
        run_scenario(load_scenario(file, {}), {.profiles = "hw_profiles"}).result;
    EXPECT_EQ(again.fingerprint, answer.result.fingerprint);
    EXPECT_EQ(value(again, "nodes"), 1.5);
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

// Prefill and decode engines of a GPU each, sized together: every other size with as few GPUs, run
// as a scenario of its own, misses the slo.
TEST(Size, OfTwoPoolsIsWhatRunningEverySizeSays) {
    const auto pools = [](std::int64_t p, std::int64_t d) {
        return fmt::format(
            "deployment.pools=[{{\"name\": \"p\", \"role\": \"prefill\", \"engines\": {}}}, "
            "{{\"name\": \"d\", \"role\": \"decode\", \"engines\": {}}}]",
            p, d);
    };
    std::vector<std::string> sets = {"scheduling=null", "workload.requests=1000",
                                     "workload.rate_scale=8", pools(1, 1)};
    const SizeAnswer answer = size(kChat, sets);
    ASSERT_TRUE(answer.best);
    const TriedSize& best = answer.tried[*answer.best];
    EXPECT_GT(best.gpus, 3);
    for (std::int64_t p = 1; p < best.gpus; ++p) {
        for (std::int64_t d = 1; p + d <= best.gpus; ++d) {
            sets.back() = pools(p, d);
            const RunResult one =
                run_scenario(load_scenario(kChat, sets), {.profiles = "hw_profiles"}).result;
            const bool kept = value(one, "good_share") >= 0.99;
            EXPECT_TRUE(!kept || p + d == best.gpus) << p << " + " << d;
            if (p == best.engines[0] && d == best.engines[1]) {
                EXPECT_TRUE(kept);
                EXPECT_EQ(one.fingerprint, best.result.fingerprint);
            }
        }
    }
}

// The same on a profile of one node without a fabric: sizes beyond its eight GPUs cannot be, and
// that is said of them.
TEST(Size, BeyondTheFabric) {
    std::vector<std::string> sets = {
        "deployment.pools=[{\"name\": \"p\", \"role\": \"prefill\"}, {\"name\": \"d\", \"role\": "
        "\"decode\"}]",
        "scheduling=null", "workload.requests=2000", "workload.rate_scale=16"};
    const SizeAnswer answer = size(kChat, sets, {"p=1..6", "d=1..6"});
    EXPECT_FALSE(answer.best);
    std::size_t beyond = 0;
    for (const TriedSize& tried : answer.tried) {
        EXPECT_EQ(tried.gpus > 8, tried.result.metrics.empty());
        beyond += tried.gpus > 8 ? 1 : 0;
    }
    EXPECT_GE(beyond, 1u);
    EXPECT_LT(beyond, answer.tried.size());
    sets.back() = "workload.rate_scale=1";
    EXPECT_THAT(complaint(kChat, sets, {"p=6..8", "d=6..8"}), HasSubstr("no \"fabric\" to join"));
}

TEST(Size, NamesWhatIsWrong) {
    EXPECT_THAT(complaint(kChat, {"cluster.nodes=3"}),
                HasSubstr("--set cluster.nodes=3: the number of nodes is what is sought"));
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
