// Answers move for the right reason. Each case changes one setting of the DeepSeek-V3 scenario and
// looks at what must change, in which direction and by how much, and at what must not.
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "study/run.hpp"

namespace orrery {
namespace {

const std::string kDeepSeek = "scenarios/training/deepseek_v3_h800_2048.json";

RunResult run(const std::vector<std::string>& sets) {
    RunRequest request;
    request.profiles = "hw_profiles";
    return run_scenario(load_scenario(kDeepSeek, sets), request).result;
}

// Metric after over metric before; the scenario as it is runs once.
class WhatIf : public testing::Test {
  protected:
    static const RunResult& before() {
        static const RunResult result = run({});
        return result;
    }
    static double ratio(const RunResult& after, const std::string& metric) {
        return after.find(metric)->value / before().find(metric)->value;
    }
};

}  // namespace

// The same work at twice the price: nothing but the cost changes, and it doubles.
TEST_F(WhatIf, DoubleThePrice) {
    const RunResult after = run({"cluster.price_per_gpu_hour=4 USD/h"});
    EXPECT_DOUBLE_EQ(ratio(after, "cost"), 2);
    EXPECT_EQ(ratio(after, "step_time"), 1);
    EXPECT_EQ(ratio(after, "gpu_hours"), 1);
    EXPECT_EQ(after.fingerprint, before().fingerprint);
}

// Half the micro-batches: the overlapped part halves (to 97 - 60 = 37 of 97 pairs on rank 0),
// warm-up and drain stay as they are, so the bubble's share grows.
TEST_F(WhatIf, HalfTheSequences) {
    const RunResult after = run({"train.sequences=7680"});
    EXPECT_EQ(ratio(after, "time_1f"), 1);
    EXPECT_NEAR(ratio(after, "time_1f1b"), 37.0 / 97.0, 0.01);
    EXPECT_NEAR(ratio(after, "time_bubble"), 1, 0.1);
    EXPECT_EQ(ratio(after, "time_optimizer"), 1);
    EXPECT_LT(ratio(after, "mfu_causal"), 1);
    EXPECT_LT(ratio(after, "peak_memory"), 1.0001);
}

// Slower NICs lengthen what is exposed: forwards alone, the optimizer's collectives. They cannot
// lengthen it by more than the factor on the bandwidth.
TEST_F(WhatIf, HalfTheNicBandwidth) {
    const RunResult after = run({"cluster.nic_bandwidth=25 GB/s"});
    for (const char* part : {"step_time", "time_1f", "time_1b", "time_optimizer"}) {
        EXPECT_GT(ratio(after, part), 1.01) << part;
        EXPECT_LT(ratio(after, part), 2.001) << part;
    }
    EXPECT_EQ(ratio(after, "time_1w"), 1);
    EXPECT_EQ(ratio(after, "peak_memory"), 1);
}

// 1F1B overlaps nothing: every all-to-all is exposed, one copy of the parameters is held.
TEST_F(WhatIf, OneForwardOneBackwardForDualPipe) {
    const RunResult after = run({"plan.schedule=1f1b"});
    EXPECT_EQ(after.find("time_1f1b")->value, 0);
    EXPECT_GT(ratio(after, "step_time"), 1.1);
    EXPECT_GT(ratio(after, "time_bubble"), 2);
    EXPECT_LT(ratio(after, "time_optimizer"), 1);
}

// GEMMs are about half of the compute, and BF16 has half of FP8's peak: slower, by less than 2.
// Dispatch in BF16 carries twice the bytes.
TEST_F(WhatIf, Bf16ForFp8) {
    const RunResult after = run({"plan.precision=bf16"});
    EXPECT_GT(ratio(after, "step_time"), 1.05);
    EXPECT_LT(ratio(after, "step_time"), 2);
    EXPECT_GT(ratio(after, "time_1w"), 1.05);
    EXPECT_GT(ratio(after, "peak_memory"), 1);
}

// One rank of 2,048 at 1.1 times: its expert group waits in every all-to-all, its pipeline with it,
// so the step is longer by at most 10 %, and by more than the rank's own share would suggest.
TEST_F(WhatIf, OneSlowRank) {
    const std::string slow = "cluster.slow_ranks=[{\"rank\": 77, \"factor\": 1.1}]";
    const RunResult after = run({slow});
    EXPECT_GT(ratio(after, "step_time"), 1.02);
    EXPECT_LT(ratio(after, "step_time"), 1.1001);
    EXPECT_GT(after.ranks_simulated, before().ranks_simulated);
    EXPECT_LT(after.ranks_simulated, after.ranks);
}

// More GPUs for the same batch: shorter step, less than in proportion, since the bubble stays.
TEST_F(WhatIf, TwiceTheNodes) {
    const RunResult after = run({"cluster.nodes=512"});
    EXPECT_EQ(after.ranks, 4096);
    EXPECT_LT(ratio(after, "step_time"), 0.7);
    EXPECT_GT(ratio(after, "step_time"), 0.5);
    EXPECT_GT(ratio(after, "gpu_hours"), 1);
}

// A plan that does not fit is an answer that says what overflows.
TEST_F(WhatIf, PlanThatDoesNotFit) {
    const RunResult after = run({"plan.schedule=gpipe"});
    EXPECT_EQ(after.find("fits_memory")->value, 0);
    ASSERT_FALSE(after.notes.empty());
    EXPECT_NE(after.notes[0].find("too much"), std::string::npos);
    EXPECT_NE(after.notes[0].find("activations"), std::string::npos);
    EXPECT_NE(after.notes[0].find("plan.schedule=1f1b brings it to"), std::string::npos)
        << after.notes[0];
}

}  // namespace orrery
