// orrery chain as a user runs it: the shipped chain on half the GPUs, with few and short
// micro-batches so that it takes seconds.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

constexpr const char* kChain = "scenarios/chains/deepseek_v3.json";

double of(const ConfigNode& row, const char* key) { return row.at(key).as_number(); }

}  // namespace

// Parts add up to the step; an even, ideal pipeline's bubble is that of its own pass times; every
// mechanism but the published row's comes out of the replay.
TEST(ChainCommand, RowsAreSteps) {
    const ProcessResult result =
        run_orrery({"chain", kChain, "--format", "json", "--set", "cluster.nodes=128", "--set",
                    "train.sequences=2048", "--set", "train.sequence_length=1024"});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    const ConfigNode answer = ConfigNode::parse(result.out, "stdout");
    const auto rows = answer.at("steps").elements();
    ASSERT_GE(rows.size(), 12U);
    for (const ConfigNode& row : rows) {
        EXPECT_NEAR(of(row, "time_1f") + of(row, "time_1b") + of(row, "time_1w") +
                        of(row, "time_1f1b") + of(row, "time_bubble") + of(row, "time_optimizer"),
                    of(row, "step_time"), 1e-9);
    }
    EXPECT_NEAR(of(rows[0], "time_bubble"), of(rows[0], "even_bubble"),
                0.03 * of(rows[0], "even_bubble"));
    EXPECT_GT(of(rows[1], "time_bubble"), 1.2 * of(rows[1], "even_bubble"));
    EXPECT_GT(of(rows[2], "time_bubble"), of(rows[1], "time_bubble"));  // sends
    EXPECT_GT(of(rows[3], "time_1f"), of(rows[2], "time_1f"));          // node reach
    EXPECT_GT(of(rows[4], "time_1f"), of(rows[3], "time_1f"));          // DeepEP 2025-02
    EXPECT_GT(of(rows[5], "time_1f"), of(rows[4], "time_1f"));          // notify
    EXPECT_GT(of(rows[6], "waiting"), 0);                               // drawn routing
    EXPECT_GT(of(rows[7], "waiting"), 2 * of(rows[6], "waiting"));      // 8 % spread
    EXPECT_DOUBLE_EQ(of(answer.at("published"), "step_time"), 19.926);
    // 120 micro-batches, of which 23 run alone: 13.95 s / 97.
    EXPECT_NEAR(of(answer.at("published"), "pair_time"), 13.95 / 97, 1e-9);
}

TEST(ChainCommand, TextHasARowAStepAndThePublishedOne) {
    const std::string file = testing::TempDir() + "chain.json";
    std::ofstream(file) << R"({"name": "two steps",
        "scenario": "scenarios/training/deepseek_v3_h800_2048.json",
        "steps": [{"name": "as shipped"}, {"name": "+ jitter", "set": ["train.jitter=1 %"]}]})";
    const ProcessResult result = run_orrery({"chain", file, "--set", "train.sequences=4096"});
    ASSERT_EQ(result.exit_code, 0) << result.error;
    EXPECT_THAT(result.out, HasSubstr("two steps"));
    EXPECT_THAT(result.out, HasSubstr("as shipped"));
    EXPECT_THAT(result.out, HasSubstr("+ jitter"));
    EXPECT_THAT(result.out, HasSubstr("published"));
}

TEST(ChainCommand, WhatIsWrongIsOneLine) {
    const std::string file = testing::TempDir() + "bad_chain.json";
    std::ofstream(file) << R"({"name": "x", "steps": [],
        "scenario": "scenarios/training/deepseek_v3_h800_2048.json"})";
    const ProcessResult result = run_orrery({"chain", file});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, HasSubstr("steps"));
    EXPECT_THAT(result.error, HasSubstr("must have at least one step"));
    EXPECT_EQ(result.out, "");
}

}  // namespace orrery
