#include "training/placement.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

std::uint32_t group(const PlacementShape& shape, std::int64_t rank, Group kind) {
    return groups_of(shape, rank)[static_cast<std::size_t>(kind)];
}

// DeepSeek-V3: 16 pipeline ranks x 128 data-parallel ranks, expert groups of 64, 8 GPUs a node.
const PlacementShape kDeepSeek{16, 128, 1, 1, 64, true, 8};

TEST(Placement, ExpertGroupsAreConsecutiveRanksOfOnePipelineRank) {
    EXPECT_EQ(group(kDeepSeek, 0, Group::expert), group(kDeepSeek, 63, Group::expert));
    EXPECT_NE(group(kDeepSeek, 63, Group::expert), group(kDeepSeek, 64, Group::expert));
    EXPECT_NE(group(kDeepSeek, 0, Group::expert), group(kDeepSeek, 128, Group::expert));
    EXPECT_EQ(group_counts(kDeepSeek)[static_cast<std::size_t>(Group::expert)], 32U);
}

// 64 consecutive ranks fill 8 nodes of 8.
TEST(Placement, ExpertGroupLiesOnWholeNodes) {
    const GroupPlacement p = group_placement(kDeepSeek, Group::expert);
    EXPECT_EQ(p.ranks, 64);
    EXPECT_EQ(p.ranks_per_node, 8);
}

// DualPipe keeps a stage on ranks r and 15 - r: 2 x 128 replicas of dense parameters, and
// 2 x 128 / 64 = 4 of each expert, no two of them on one node.
TEST(Placement, MirroredPipelineRanksReduceGradientsTogether) {
    EXPECT_EQ(group(kDeepSeek, 0, Group::data), group(kDeepSeek, 15 * 128, Group::data));
    const GroupPlacement dense = group_placement(kDeepSeek, Group::data);
    EXPECT_EQ(dense.ranks, 256);
    EXPECT_EQ(dense.ranks_per_node, 8);
    const GroupPlacement expert = group_placement(kDeepSeek, Group::data_expert);
    EXPECT_EQ(expert.ranks, 4);
    EXPECT_EQ(expert.ranks_per_node, 1);
}

TEST(Placement, OnePassPipelinesDoNotShareStages) {
    PlacementShape shape = kDeepSeek;
    shape.mirrored = false;
    EXPECT_NE(group(shape, 0, Group::data), group(shape, 15 * 128, Group::data));
    EXPECT_EQ(group_placement(shape, Group::data).ranks, 128);
}

// rank = (pipeline rank x dp + dp index) x tp + tp index with tp 4: ranks 4..7 are one tensor
// group.
TEST(Placement, TensorGroupsAreInnermost) {
    const PlacementShape shape{2, 2, 1, 4, 1, false, 8};
    EXPECT_EQ(group(shape, 4, Group::tensor), group(shape, 7, Group::tensor));
    EXPECT_NE(group(shape, 3, Group::tensor), group(shape, 4, Group::tensor));
    EXPECT_EQ(group_placement(shape, Group::tensor).ranks_per_node, 4);
    EXPECT_EQ(group(shape, 0, Group::pipeline), group(shape, 8, Group::pipeline));
}

TEST(Placement, NeighboursOfSmallPipelinesShareANode) {
    EXPECT_EQ(neighbour_placement({4, 2, 1, 1, 1, false, 8}).ranks_per_node, 2);
    EXPECT_EQ(neighbour_placement(kDeepSeek).ranks_per_node, 1);
}

}  // namespace
}  // namespace orrery
