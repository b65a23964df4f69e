// Throughput against interactivity: who beats whom, and the closed form beside event replay.
#include "study/pareto.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/run.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

const std::string kChat = "scenarios/serving/llama3_8b_a100_10k.json";

ParetoPoint point(double user, double gpu) {
    ParetoPoint p;
    p.load = {.batch = 1, .step = 1, .user_rate = user, .rate = gpu, .gpus = 1};
    return p;
}

std::vector<std::string> with_lengths(std::vector<std::string> more) {
    more.insert(more.end(),
                {"workload.prompt={\"distribution\": \"uniform\", \"min\": 200, \"max\": 1000}",
                 "workload.output={\"distribution\": \"uniform\", \"min\": 100, \"max\": 300}"});
    return more;
}

}  // namespace

// (3, 1), (2, 2) and (1, 3) are the front; (2, 1) is beaten by two of them, (1, 3) again ties.
TEST(Pareto, MarksWhatIsBeaten) {
    std::vector<ParetoPoint> points = {point(3, 1), point(2, 2), point(1, 3), point(2, 1),
                                       point(1, 3)};
    mark_dominated(points);
    const std::vector<bool> expected = {false, false, false, true, false};
    for (std::size_t i = 0; i < points.size(); ++i) {
        EXPECT_EQ(points[i].dominated, expected[i]) << i;
    }
}

// 4 and 48 users who ask again at once, replayed request by request: what a user and a GPU get is
// the closed form's to 5 %, prompts in iterations of their own or beside decode.
TEST(Pareto, ASteadyLoadIsWhatReplayFinds) {
    for (const char* policy : {"vllm_like", "sglang_like"}) {
        const std::string set = std::string("scheduling.chat.policy=") + policy;
        const Scenario open = load_scenario(
            kChat,
            with_lengths({"workload={\"arrivals\": {\"rate\": 1}, \"requests\": 5000}", set}));
        const ParetoAnswer front = pareto_front({open}, "hw_profiles");
        for (const std::int64_t users : {4, 48}) {
            SCOPED_TRACE(policy + std::to_string(users));
            const std::string loop =
                "workload={\"format\": \"closed_loop\", \"users\": " + std::to_string(users) +
                ", \"requests\": " + std::to_string(40 * users) + "}";
            const RunResult replayed = run_scenario(load_scenario(kChat, with_lengths({loop, set})),
                                                    {.profiles = "hw_profiles"})
                                           .result;
            const auto found =
                std::find_if(front.points.begin(), front.points.end(),
                             [&](const ParetoPoint& p) { return p.load.batch == users; });
            ASSERT_NE(found, front.points.end());
            const double gpu = replayed.find("output_throughput_per_gpu")->value;
            const double user = 1 / replayed.find("tpot_mean")->value;
            EXPECT_NEAR(found->load.per_gpu() / gpu, 1, 0.05);
            EXPECT_NEAR(found->load.user_rate / user, 1, 0.05);
        }
    }
}

// Prompts in a pool of their own: two engines of it, busy for a share of the time that the closed
// form takes as a part of an engine.
TEST(Pareto, APoolForPromptsIsBusyAsReplayed) {
    const auto with_pools = [](std::vector<std::string> more) {
        more.insert(more.end(), {"deployment.pools=[{\"name\": \"p\", \"role\": \"prefill\", "
                                 "\"engines\": 2}, {\"name\": \"d\", \"role\": \"decode\"}]",
                                 "scheduling=null", "handoff.network=plain"});
        return with_lengths(more);
    };
    const Scenario open = load_scenario(
        kChat, with_pools({"workload={\"arrivals\": {\"rate\": 1}, \"requests\": 5000}"}));
    const ParetoAnswer front = pareto_front({open}, "hw_profiles");
    const auto found = std::find_if(front.points.begin(), front.points.end(),
                                    [](const ParetoPoint& p) { return p.load.batch == 48; });
    ASSERT_NE(found, front.points.end());
    const RunResult replayed =
        run_scenario(load_scenario(kChat, with_pools({"workload={\"format\": \"closed_loop\", "
                                                      "\"users\": 48, \"requests\": 1920}"})),
                     {.profiles = "hw_profiles"})
            .result;
    const double gpus = 3;
    EXPECT_NEAR(found->load.rate / (gpus * replayed.find("output_throughput_per_gpu")->value), 1,
                0.06);
    EXPECT_NEAR(found->load.user_rate * replayed.find("tpot_mean")->value, 1, 0.05);
    const ResultTable& pools = replayed.breakdown[1];
    ASSERT_EQ(pools.columns[2].name, "busy_share");
    EXPECT_NEAR(found->load.prompt_gpus / (2 * std::get<double>(pools.rows[0][2])), 1, 0.08);
}

// Two deployments under the requests of the first.
TEST(Pareto, OfTwoDeployments) {
    const Scenario one = load_scenario("scenarios/serving/deepseek_v3_h200_8.json", {});
    const Scenario two = load_scenario("scenarios/serving/deepseek_v3_h800_tp16.json", {});
    const ParetoAnswer answer = pareto_front({one, two}, "hw_profiles");
    std::size_t seen[2] = {0, 0}, front = 0;
    for (const ParetoPoint& p : answer.points) {
        ++seen[p.deployment];
        front += p.dominated ? 0 : 1;
        EXPECT_TRUE(std::isfinite(p.load.per_gpu()) && p.load.per_gpu() > 0);
    }
    EXPECT_GE(seen[0], 8u);
    EXPECT_GE(seen[1], 8u);
    EXPECT_GE(front, 5u);
    EXPECT_EQ(answer.result.breakdown.back().rows.size(), answer.points.size());
}

TEST(Pareto, NamesWhatIsWrong) {
    const auto complaint = [](const Scenario& scenario) -> std::string {
        try {
            pareto_front({scenario}, "hw_profiles");
        } catch (const InputError& e) {
            return e.what();
        }
        return "no complaint";
    };
    EXPECT_THAT(complaint(load_scenario("scenarios/training/llama3_8b_h100_8.json", {})),
                HasSubstr("must be \"serving\" for --pareto"));
    EXPECT_THAT(
        complaint(load_scenario(
            kChat, {"deployment.pools=[{\"name\": \"a\"}, {\"name\": \"b\"}]", "scheduling=null"})),
        HasSubstr("deployment.pools"));
    EXPECT_THAT(complaint(load_scenario(kChat, {"workload={\"arrivals\": {\"rate\": 1}, "
                                                "\"prompt\": 10, \"output\": 1}"})),
                HasSubstr("more than one token of output"));
}

}  // namespace orrery
