// The step with counted tokens moves for the right reason. 32 micro-batches, so that a test takes a
// second.

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "study/run.hpp"

namespace orrery {
namespace {

using Sets = std::vector<std::string>;
constexpr const char* kCounted = "network.expert_all_to_all=counted_tokens";
const Sets kDrawn = {kCounted, "routing.kind=drawn", "routing.draws=2"};

RunResult run(const Sets& sets) {
    Sets all = sets;
    all.emplace_back("train.sequences=4096");
    return run_scenario(load_scenario("scenarios/training/deepseek_v3_h800_2048.json", all),
                        {.profiles = "hw_profiles"})
        .result;
}
double at(const RunResult& result, const char* metric) { return result.find(metric)->value; }
Sets with(Sets sets, const std::string& more) {
    sets.push_back(more);
    return sets;
}

// More nodes a token (3.95 instead of 3.63) and a notify: what is exposed takes longer.
TEST(RoutingInStep, TrueReachAndNotifyTakeLonger) {
    const RunResult published = run({"network.expert_all_to_all=published_rates"}),
                    counted = run({kCounted}), silent = run({kCounted, "network.notify=false"});
    EXPECT_GT(at(counted, "time_1f"), at(silent, "time_1f"));
    EXPECT_GT(at(silent, "time_1f"), at(published, "time_1f"));
    EXPECT_GT(at(counted, "step_time"), at(published, "step_time"));
    EXPECT_EQ(at(counted, "time_1w"), at(published, "time_1w"));
    EXPECT_EQ(counted.ranks_simulated, published.ranks_simulated);  // still folded
}

// Its first release staged (token, node) pairs at 43 GB/s, own node included.
TEST(RoutingInStep, DeepEpsFirstReleaseIsSlower) {
    EXPECT_GT(at(run({kCounted, "network.expert_version=2025-02"}), "time_1f"),
              1.01 * at(run({kCounted}), "time_1f"));
}

// Both dispatch and combine are bound by the NIC; weight gradients move nothing.
TEST(RoutingInStep, HalfTheNicTwiceTheExposedAllToAll) {
    const RunResult full = run({kCounted}), half = run({kCounted, "cluster.nic_bandwidth=25 GB/s"});
    EXPECT_GT(at(half, "time_1f"), 1.1 * at(full, "time_1f"));
    EXPECT_GT(at(half, "time_1b"), 1.05 * at(full, "time_1b"));
    EXPECT_EQ(at(half, "time_1w"), at(full, "time_1w"));
}

// Two SMs forward 2 x 98 GB/s read and written: slower than the links; 20 are not.
TEST(RoutingInStep, TooFewSmsSlowTheExposedAllToAll) {
    const Sets few = {kCounted, "train.communication_sms=2"};
    EXPECT_GT(at(run(few), "time_1f"), 1.1 * at(run({kCounted}), "time_1f"));
}

// Ranks differ, so they wait for each other, more with more skew; rows of weight gradients differ,
// too.
TEST(RoutingInStep, SkewMakesRanksWait) {
    const RunResult even = run({kCounted}), drawn = run(kDrawn),
                    skewed = run(with(kDrawn, "routing.skew=0.3"));
    EXPECT_EQ(drawn.ranks_simulated, 2048);
    EXPECT_GT(at(drawn, "step_time"), at(even, "step_time"));
    EXPECT_GT(at(skewed, "step_time"), 1.01 * at(drawn, "step_time"));
    EXPECT_GT(at(skewed, "time_1f1b"), at(drawn, "time_1f1b"));
}

// One draw for all: the two expert groups of a pipeline rank do the same and fold, exactly.
TEST(RoutingInStep, ExpertGroupsWithTheSameDrawFold) {
    const Sets one = {kCounted, "routing.kind=drawn", "routing.draws=1"};
    const RunResult folded = run(one), unfolded = run(with(one, "run.fold=none"));
    EXPECT_EQ(folded.ranks_simulated, 1024);
    EXPECT_EQ(unfolded.ranks_simulated, 2048);
    EXPECT_EQ(folded.fingerprint, unfolded.fingerprint);
    EXPECT_EQ(at(folded, "step_time"), at(unfolded, "step_time"));
}

// Tokens that may go to all 8 nodes cross more links: 5.4 nodes instead of 3.95.
TEST(RoutingInStep, NodeLimitSavesTraffic) {
    std::ifstream file("scenarios/models/deepseek_v3.json");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string limit = "\"topk_group\": 4";
    const std::size_t place = text.find(limit);
    ASSERT_NE(place, std::string::npos);
    text.replace(place, limit.size(), "\"topk_group\": 8");
    const std::string unlimited = testing::TempDir() + "deepseek_v3_no_node_limit.json";
    std::ofstream(unlimited) << text;
    EXPECT_GT(at(run({kCounted, "model=" + unlimited}), "time_1f"),
              1.03 * at(run({kCounted}), "time_1f"));
}

TEST(RoutingInStep, SeedAndNothingElseChangesADraw) {
    const RunResult once = run(kDrawn), again = run(kDrawn),
                    other = run(with(kDrawn, "routing.seed=2"));
    EXPECT_EQ(once.fingerprint, again.fingerprint);
    EXPECT_NE(once.fingerprint, other.fingerprint);
    EXPECT_NEAR(at(once, "step_time"), at(other, "step_time"), 0.01 * at(once, "step_time"));
}

}  // namespace
}  // namespace orrery
