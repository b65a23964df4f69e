// Answers move for the right reason: one setting of the shipped DeepSeek-V3 scenario changed at a
// time.

#include <gtest/gtest.h>

#include "study/run.hpp"

namespace orrery {
namespace {

const char* const kScenario = "scenarios/training/deepseek_v3_h800_2048.json";

class Answer {
  public:
    explicit Answer(const std::vector<std::string>& sets = {}, const char* scenario = kScenario)
        : result_(run_scenario(load_scenario(scenario, sets), {.profiles = "hw_profiles"}).result) {
    }
    double operator[](const std::string& metric) const { return result_.find(metric)->value; }
    const RunResult& result() const { return result_; }

  private:
    RunResult result_;
};

const Answer& shipped() {
    static const Answer answer;
    return answer;
}

TEST(WhatIf, PartsAddUpToTheStep) {
    const Answer& a = shipped();
    const double sum = a["time_1f"] + a["time_1b"] + a["time_1w"] + a["time_1f1b"] +
                       a["time_bubble"] + a["time_optimizer"];
    EXPECT_NEAR(sum, a["step_time"], 1e-11);  // each part is rounded to the picosecond
}

// 15,360 x 4,096 tokens a step; a day has 86,400 s; 2,048 GPUs; 2 USD per GPU hour.
TEST(WhatIf, RatesAndMoneyFollowFromTheStepTime) {
    const Answer& a = shipped();
    EXPECT_NEAR(a["tokens_per_day"], 15360.0 * 4096 * 86400 / a["step_time"], 1.0);
    EXPECT_NEAR(a["gpu_hours"], 14.8e12 / a["tokens_per_day"] * 24 * 2048, 1.0);
    EXPECT_NEAR(a["cost"], 2 * a["gpu_hours"], 1.0);
    EXPECT_NEAR(a["mfu_causal"],
                250.44988723199998e9 * 15360 * 4096 / (989e12 * 2048 * a["step_time"]), 1e-9);
}

// Exposed all-to-all doubles where nothing hides it (1F, 1B) and the optimizer's collectives slow
// down; weight gradients do not communicate. Overlapped pairs hide most of it.
TEST(WhatIf, HalfTheNicBandwidthSlowsWhatIsExposed) {
    const Answer half({"cluster.nic_bandwidth=25 GB/s"});
    EXPECT_GT(half["time_1f"], 1.15 * shipped()["time_1f"]);
    EXPECT_GT(half["time_1b"], 1.1 * shipped()["time_1b"]);
    EXPECT_GT(half["time_optimizer"], 1.2 * shipped()["time_optimizer"]);
    EXPECT_EQ(half["time_1w"], shipped()["time_1w"]);
    EXPECT_GT(half["step_time"], shipped()["step_time"]);
    // Less than by what is exposed: pairs absorb most of it.
    EXPECT_LT(half["time_1f1b"] / shipped()["time_1f1b"], half["time_1f"] / shipped()["time_1f"]);
}

// 1F1B exposes every all-to-all and has the larger bubble, but keeps one copy of the parameters.
TEST(WhatIf, OneFOneBExposesCommunicationAndSavesMemory) {
    const Answer a({"plan.schedule=1f1b"});
    EXPECT_GT(a["step_time"], 1.15 * shipped()["step_time"]);
    EXPECT_EQ(a["time_1f1b"], 0);
    EXPECT_GT(a["time_bubble"], shipped()["time_bubble"]);
    EXPECT_LT(a["peak_memory"], shipped()["peak_memory"]);
}

// Half the micro-batches: what is outside the pairs (warm-up, cool-down, bubble, optimizer) stays,
// so the step takes more than half.
TEST(WhatIf, HalfTheSequencesTakeMoreThanHalfTheTime) {
    const Answer half({"train.sequences=7680"});
    EXPECT_GT(half["step_time"], 0.5 * shipped()["step_time"]);
    EXPECT_LT(half["step_time"], 0.65 * shipped()["step_time"]);
    EXPECT_NEAR(half["time_1f"], shipped()["time_1f"], 1e-9);
    EXPECT_NEAR(half["time_optimizer"], shipped()["time_optimizer"], 1e-9);
    EXPECT_LT(half["tokens_per_day"], shipped()["tokens_per_day"]);
}

// FP8's tensor cores are twice BF16's; casts go away, dispatch doubles its bytes. Weight gradients
// gain least: with 1x128 scales on both operands and FP32 sums, FP8 reaches 1,000 TFLOP/s, not
// 1,350.
TEST(WhatIf, Bf16TakesLongerThanFp8) {
    const Answer a({"plan.precision=bf16"});
    EXPECT_GT(a["step_time"], 1.1 * shipped()["step_time"]);
    EXPECT_GT(a["time_1w"], 1.05 * shipped()["time_1w"]);
    EXPECT_GT(a["peak_memory"], shipped()["peak_memory"]);
}

// The slow rank's own passes take up to 10 % longer, its peers wait for it: the step takes longer,
// by less than 10 %, and only what differs is simulated apart.
TEST(WhatIf, OneSlowRankHoldsUpItsPeers) {
    const Answer slow({R"(cluster.slow_ranks=[{"rank": 77, "factor": 1.1}])"});
    EXPECT_GT(slow["step_time"], 1.01 * shipped()["step_time"]);
    EXPECT_LT(slow["step_time"], 1.1 * shipped()["step_time"]);
    EXPECT_GT(slow.result().ranks_simulated, shipped().result().ranks_simulated);
    EXPECT_LT(slow.result().ranks_simulated, 2048);
}

TEST(WhatIf, DoubleThePriceDoublesTheCostAndNothingElse) {
    const Answer a({"cluster.price_per_gpu_hour=4 USD/h"});
    EXPECT_DOUBLE_EQ(a["cost"], 2 * shipped()["cost"]);
    EXPECT_EQ(a["step_time"], shipped()["step_time"]);
    EXPECT_EQ(a.result().fingerprint, shipped().result().fingerprint);
}

TEST(WhatIf, NoRecomputationNeedsMoreMemoryAndLessTime) {
    const Answer a({"plan.recompute=none"});
    EXPECT_LT(a["step_time"], shipped()["step_time"]);
    EXPECT_GT(a["peak_memory"], shipped()["peak_memory"]);
}

// Folding is exact: all 2,048 ranks give the same answer to the picosecond, one slow rank or none.
TEST(WhatIf, UnfoldedRanksGiveTheSameAnswer) {
    for (const std::string slow : {"[]", R"([{"rank": 77, "factor": 1.1}])"}) {
        const std::vector<std::string> sets = {"cluster.slow_ranks=" + slow,
                                               "train.sequences=4096"};
        std::vector<std::string> unfolded_sets = sets;
        unfolded_sets.push_back("run.fold=none");
        const Answer folded(sets), unfolded(unfolded_sets);
        EXPECT_EQ(unfolded.result().ranks_simulated, 2048);
        EXPECT_LT(folded.result().ranks_simulated, 100);
        EXPECT_EQ(folded.result().fingerprint, unfolded.result().fingerprint);
        EXPECT_EQ(folded["step_time"], unfolded["step_time"]);
        EXPECT_EQ(folded.result().operators, unfolded.result().operators);
    }
}

// With every rank drawing its own jitter nothing folds, and waiting makes the step longer.
TEST(WhatIf, JitterMakesRanksWaitForEachOther) {
    const std::string sequences = "train.sequences=4096";
    const Answer even({sequences}), jitter({sequences, "train.jitter=0.02"});
    EXPECT_EQ(jitter.result().ranks_simulated, 2048);
    EXPECT_GT(jitter["step_time"], even["step_time"]);
}

TEST(WhatIf, PlanThatOverflowsMemoryIsAnAnswer) {
    const Answer a({"plan.micro_batch_size=2", "plan.recompute=none"});
    EXPECT_EQ(a["fits_memory"], 0);
    EXPECT_FALSE(a.result().notes.empty());
}

}  // namespace
}  // namespace orrery
