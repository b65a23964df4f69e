// The step whose all-to-alls and sends share the cluster's links. 32 micro-batches, so that a test
// takes a second or two.

#include <gtest/gtest.h>

#include "study/run.hpp"

namespace orrery {
namespace {

RunResult run(const std::vector<std::string>& sets, const char* links = "shared") {
    std::vector<std::string> all = {"train.sequences=4096",
                                    "network.expert_all_to_all=counted_tokens",
                                    std::string("network.links=") + links};
    all.insert(all.end(), sets.begin(), sets.end());
    return run_scenario(load_scenario("scenarios/training/deepseek_v3_h800_2048.json", all),
                        {.profiles = "hw_profiles"})
        .result;
}
double at(const RunResult& result, const char* metric) { return result.find(metric)->value; }

std::string failed_plane() {
    std::string fail = "cluster.fail=[";
    for (int leaf = 0; leaf < 8; ++leaf) {
        fail += (leaf > 0 ? ", " : "") + ("\"plane3.leaf" + std::to_string(leaf) + "\"");
    }
    return fail + "]";
}

// Sends lose most of their NIC to the all-to-all beside them: bubbles grow. Passes hardly do: an
// all-to-all of seven messages gives an eighth of its NIC to a send.
TEST(SharedLinksInStep, SendsBesideAllToAllWidenTheBubble) {
    const RunResult own = run({}, "own"), shared = run({});
    EXPECT_GT(at(shared, "time_bubble"), 1.03 * at(own, "time_bubble"));
    EXPECT_NEAR(at(shared, "time_1f1b"), at(own, "time_1f1b"), 0.01 * at(own, "time_1f1b"));
    EXPECT_EQ(shared.ranks_simulated, own.ranks_simulated);
}

// Without sends nothing is shared but by ranks that move in step: the same times, but for the
// rounding of rates.
TEST(SharedLinksInStep, WithoutSendsSharedLinksAreOwnLinks) {
    const std::vector<std::string> silent = {"network.pipeline_sends=free"};
    EXPECT_NEAR(at(run(silent), "step_time"), at(run(silent, "own"), "step_time"), 1e-6);
}

TEST(SharedLinksInStep, FoldedIsUnfolded) {
    for (const std::string& fail : {std::string("cluster.fail=[]"), failed_plane()}) {
        const RunResult folded = run({"cluster.profile=h800_mpft", fail}),
                        unfolded = run({"cluster.profile=h800_mpft", fail, "run.fold=none"});
        EXPECT_LT(folded.ranks_simulated, 64);
        EXPECT_EQ(unfolded.ranks_simulated, 2048);
        EXPECT_EQ(folded.fingerprint, unfolded.fingerprint);
        EXPECT_EQ(at(folded, "step_time"), at(unfolded, "step_time"));
    }
}

// arXiv:2505.09343v2 Table 4: 19.926 s on planes, 19.946 s on rails. Expert groups of 8 nodes and
// most of their sends lie under one leaf switch of either.
TEST(SharedLinksInStep, PlanesAndRailsAreTheSameWithinOnePercent) {
    const double planes = at(run({"cluster.profile=h800_mpft"}), "step_time"),
                 rails = at(run({"cluster.profile=h800_mrft"}), "step_time");
    EXPECT_NEAR(planes, rails, 0.01 * rails);
}

// One plane of eight less: every rank's traffic takes at most 8/7 of the NICs that are left.
TEST(SharedLinksInStep, AFailedPlaneCostsLessThanItsShare) {
    const RunResult whole = run({"cluster.profile=h800_mpft"}),
                    failed = run({"cluster.profile=h800_mpft", failed_plane()});
    EXPECT_GT(at(failed, "time_1f"), at(whole, "time_1f"));
    EXPECT_GT(at(failed, "step_time"), at(whole, "step_time"));
    EXPECT_LT(at(failed, "step_time"), 8.0 / 7 * at(whole, "step_time"));
}

// A send takes 1.35 ms; in warm-up and cool-down at least one of them has nothing to hide behind.
TEST(SharedLinksInStep, BlockingSendsWidenTheBubble) {
    const RunResult overlapped = run({}, "own"),
                    blocking = run({"network.pipeline_sends=blocking"}, "own"),
                    free = run({"network.pipeline_sends=free"}, "own");
    EXPECT_GT(at(blocking, "time_bubble"), at(overlapped, "time_bubble") + 1.35e-3);
    EXPECT_LT(at(free, "time_bubble"), at(overlapped, "time_bubble"));
    EXPECT_EQ(at(blocking, "time_1f1b"), at(overlapped, "time_1f1b"));
}

TEST(SharedLinksInStep, HalfTheNicLengthensSendsAndAllToAlls) {
    const RunResult whole = run({}), half = run({"cluster.nic_bandwidth=25 GB/s"});
    EXPECT_GT(at(half, "time_bubble"), 1.05 * at(whole, "time_bubble"));
    EXPECT_GT(at(half, "time_1f"), 1.1 * at(whole, "time_1f"));
}

}  // namespace
}  // namespace orrery
