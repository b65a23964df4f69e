// EPLB against the worked example of its README (deepseek-ai/EPLB @d52c72d) and small cases by
// hand.

#include "model/eplb.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "hardware/expert_traffic.hpp"

namespace orrery {
namespace {

using Slots = std::vector<std::int32_t>;

// Two layers of 12 experts in 4 groups, 16 replicas on 2 nodes of 4 GPUs: README, "Interface and
// Example".
TEST(Eplb, WorkedExampleOfTheReadme) {
    const EplbShape shape{.replicas = 16, .groups = 4, .nodes = 2, .gpus = 8};
    const auto first =
        rebalance_experts({90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86}, shape);
    EXPECT_EQ(first.slot_expert, (Slots{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1}));
    const auto second =
        rebalance_experts({20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}, shape);
    EXPECT_EQ(second.slot_expert, (Slots{7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}));
}

// Layer 0 of the example, GPU by GPU: experts 5 (165 / 2) and 6 (39): 121.5; 5 and 7: 86.5; 8 and 4
// (104 / 2): 125; 3 and 4: 113; 10 (183 / 2) and 9: 147.5; 10 and 2: 131.5; 0 and 1 (132 / 2): 156;
// 11 and 1: 152. Mean 1033 / 8 = 129.125, so 156 / 129.125 = 1.20813.
TEST(Eplb, LoadsOfTheWorkedExample) {
    const std::vector<double> loads{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
    const auto placement =
        rebalance_experts(loads, {.replicas = 16, .groups = 4, .nodes = 2, .gpus = 8});
    EXPECT_EQ(rank_loads(placement, loads),
              (std::vector<double>{121.5, 86.5, 125, 113, 147.5, 131.5, 156, 152}));
    EXPECT_NEAR(largest_over_mean(rank_loads(placement, loads)), 1.20813, 1e-5);
}

// Heaviest first: 9 to pack 0, 7 to 1, 6 to 1 (lighter), 5 to 0, 4 to 1 (13 < 14), which is full;
// 1 to 0.
TEST(Eplb, PacksHeaviestFirstWhereThereIsRoom) {
    const Packing packed = pack_balanced({5, 9, 1, 7, 4, 6}, 2);
    EXPECT_EQ(packed.pack, (Slots{0, 0, 0, 1, 1, 1}));
    EXPECT_EQ(packed.position, (Slots{1, 0, 2, 0, 2, 1}));
    EXPECT_THROW(pack_balanced({1, 2, 3}, 2), InputError);
}

// 12, 5, 4: the third replica halves 12 to 6; 6 is still the largest: 4; then 5 to 2.5.
TEST(Eplb, ReplicatesTheBusiest) {
    const Replication copies = replicate({12, 5, 4}, 6);
    EXPECT_EQ(copies.expert, (Slots{0, 1, 2, 0, 0, 1}));
    EXPECT_EQ(copies.count, (Slots{3, 2, 1}));
    EXPECT_THROW(replicate({1, 2}, 1), InputError);
}

// 3 groups do not divide over 2 nodes: the global policy replicates over all experts and packs
// replicas to GPUs. Loads 8, 1, 1, 1, 1, 4 on 8 replicas: 0 twice (4), then the 4s: expert 0 again
// (first of equals). Weights 8/3 x 3, 1 x 4, 4 on 4 GPUs of 2.
TEST(Eplb, GlobalWhereGroupsDoNotDivide) {
    const std::vector<double> loads{8, 1, 1, 1, 1, 4};
    const EplbShape shape{.replicas = 8, .groups = 3, .nodes = 2, .gpus = 4};
    EXPECT_FALSE(shape.hierarchical());
    const auto placement = rebalance_experts(loads, shape);
    EXPECT_EQ(placement.replicas[0].size(), 3U);
    // Order 4, 8/3, 8/3, 8/3, 1, 1, 1, 1: GPUs 0, 1, 2, 3 take one each, then the lightest first.
    EXPECT_EQ(placement.slot_expert, (Slots{5, 4, 0, 1, 0, 2, 0, 3}));
}

TEST(Eplb, RefusesShapesThatCannotBe) {
    const std::vector<double> loads(8, 1);
    EXPECT_THROW(rebalance_experts(loads, {.replicas = 6, .gpus = 2}), InputError);
    EXPECT_THROW(rebalance_experts(loads, {.replicas = 9, .gpus = 2}), InputError);
    EXPECT_THROW(rebalance_experts(loads, {.replicas = 12, .nodes = 2, .gpus = 3}), InputError);
    EXPECT_THROW(rebalance_experts(loads, {.replicas = 8, .groups = 3, .gpus = 2}), InputError);
}

// Four GPUs on two nodes, one expert each, to the reverse order: every GPU lacks its new expert,
// which lies on the other node: 4 fetched, all over NICs, one sent and one received by each. Then
// swapping neighbours: all over NVLink. 44 MB at 44 GB/s: 1 ms.
TEST(Eplb, CostOfMoving) {
    const auto before = contiguous_placement(4, 4);
    const auto cost = rebalance_cost(before, make_placement(4, 4, {3, 2, 1, 0}), 2);
    EXPECT_EQ(cost.moved, 4);
    EXPECT_EQ(cost.over_nic, 4);
    EXPECT_EQ(cost.most_nic, 1);
    EXPECT_EQ(cost.most_nvlink, 0);
    EXPECT_DOUBLE_EQ(cost.time(Bytes(44e6), BytesPerSecond(160e9), BytesPerSecond(44e9)).value(),
                     1e-3);
    const auto near = rebalance_cost(before, make_placement(4, 4, {1, 0, 3, 2}), 2);
    EXPECT_EQ(near.over_nic, 0);
    EXPECT_EQ(near.most_nvlink, 1);
    EXPECT_EQ(rebalance_cost(before, before, 2).moved, 0);
}

// Expert 0 of GPU 0 is wanted by all of the other node (GPUs 2 and 3): GPU 0 sends it twice.
TEST(Eplb, ASenderIsTheBottleneck) {
    const auto before = make_placement(4, 4, {0, 1, 1, 2, 2, 3, 3, 2});
    const auto cost = rebalance_cost(before, make_placement(4, 4, {0, 1, 1, 2, 0, 3, 3, 0}), 2);
    EXPECT_EQ(cost.moved, 2);
    EXPECT_EQ(cost.most_nic, 2);
}

}  // namespace
}  // namespace orrery
