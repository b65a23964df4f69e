#include "study/iteration_scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/run.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

constexpr const char* kDecode = "scenarios/validation/serving/deepseek_profile_decode.json";
constexpr const char* kPrefill = "scenarios/validation/serving/deepseek_profile_prefill.json";

RunResult run(const char* file, const std::vector<std::string>& sets = {}) {
    RunRequest request;
    request.profiles = "hw_profiles";
    return run_scenario(load_scenario(file, sets), request).result;
}

double metric(const RunResult& result, const char* name) { return result.find(name)->value; }

std::string complaint(const std::vector<std::string>& sets) {
    try {
        run(kDecode, sets);
    } catch (const InputError& e) {
        return e.what();
    }
    return "";
}

// 128 sequences x 1.6 tokens on each of 128 GPUs, 8 a node.
TEST(IterationScenario, RatesFollowFromTheTime) {
    const RunResult decode = run(kDecode);
    const double step = metric(decode, "iteration_time");
    EXPECT_DOUBLE_EQ(metric(decode, "output_throughput_per_gpu"), 128 * 1.6 / step);
    EXPECT_DOUBLE_EQ(metric(decode, "output_throughput_per_node"), 8 * (128 * 1.6 / step));
    const RunResult prefill = run(kPrefill);
    EXPECT_DOUBLE_EQ(metric(prefill, "input_throughput_per_gpu"),
                     16384 / metric(prefill, "iteration_time"));
}

// The published sign: two micro-batches lose with few sequences a GPU and win with many.
TEST(IterationScenario, TwoBatchesChangeSign) {
    const char* file = "scenarios/validation/serving/sglang_96h100_decode_2k.json";
    EXPECT_LT(metric(run(file, {"iteration.sequences=32"}), "two_batch_gain"), -0.2);
    EXPECT_GT(metric(run(file), "two_batch_gain"), 0.2);
}

TEST(IterationScenario, LongerContextIsSlower) {
    EXPECT_GT(metric(run(kDecode, {"iteration.context=8192"}), "iteration_time"),
              metric(run(kDecode), "iteration_time"));
}

TEST(IterationScenario, WrongOnesAreOneClearError) {
    EXPECT_THAT(complaint({"iteration.pool=prefill"}),
                HasSubstr("iteration.pool = \"prefill\": must name one of the deployment's pools"));
    EXPECT_THAT(complaint({"iteration.accepted_tokens=3"}), HasSubstr("must be from 1 to 2"));
    EXPECT_THAT(complaint({"iteration.sequences=0"}), HasSubstr("must have prompts or sequences"));
    EXPECT_THAT(complaint({"iteration.colour=1"}), HasSubstr("colour"));
    EXPECT_THAT(complaint({"deployment.precision=fp4"}), HasSubstr("deployment.precision"));
    EXPECT_THAT(complaint({"kind=steady"}), HasSubstr("kind = \"steady\": must be"));
}

}  // namespace
}  // namespace orrery
