// GPUs that differ in pace: the closed form of the slowest beside ranks whose paces are drawn.

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/run.hpp"

namespace orrery {
namespace {

// DeepSeek-V3 on two pipeline ranks of one expert group each: 128 GPUs, 8 micro-batches.
RunResult answer(std::vector<std::string> sets) {
    for (const char* common : {"cluster.nodes=16", "plan.pp=2", "plan.schedule=1f1b",
                               "plan.placement=even", "train.sequences=512", "published=[]"}) {
        sets.emplace_back(common);
    }
    return run_scenario(load_scenario("scenarios/training/deepseek_v3_h800_2048.json", sets),
                        {.profiles = "hw_profiles"})
        .result;
}
double step(const char* pace) {
    return answer({std::string("train.gpu_pace=") + pace}).find("step_time")->value;
}

// Every rank meets the other 63 of its group in each layer, so a pass takes the slowest one's time
// whether that is worked out or drawn. Pipeline ranks wait for each other besides, less than 1 %.
TEST(GpuPaceInStep, ClosedFormIsWhatDrawnPacesGive) {
    const double slowest = step("slowest"), drawn = step("drawn"), alike = step("alike");
    EXPECT_GT(slowest, 1.01 * alike);
    EXPECT_NEAR(drawn / slowest, 1, 0.012);
}

TEST(GpuPaceInStep, StatesWhereItComesFrom) {
    const RunResult result = answer({});
    bool stated = false;
    for (const SourceUsed& s : result.sources) stated |= s.name == "pace of the GPUs";
    EXPECT_TRUE(stated);
}

TEST(GpuPaceInStep, NeedsAClockUnderLoadAndATable) {
    EXPECT_THROW(answer({"train.gpu_pace=slowest", "train.clock=burst"}), InputError);
    EXPECT_THROW(answer({"train.gpu_pace=drawn", "train.jitter=0.01"}), InputError);
    EXPECT_THROW(answer({"train.gpu_pace=fast"}), InputError);
    EXPECT_THROW(answer({"train.gpu_pace=drawn", "cluster.accelerator=a100_sxm4"}), InputError);
}

}  // namespace
}  // namespace orrery
