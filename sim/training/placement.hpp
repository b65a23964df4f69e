#pragma once
// Where ranks stand: which group of each kind a rank belongs to, and how a group lies on nodes.
// rank = pipeline rank x lanes + lane; lane = (dp index x cp + cp index) x tp + tp index; nodes are
// filled with consecutive ranks.

#include <array>
#include <cstdint>

#include "collective/communication_cost.hpp"
#include "model/parallel_plan.hpp"
#include "replay/program.hpp"

namespace orrery {

struct PlacementShape {
    std::int64_t pp = 1, dp = 1, cp = 1, tp = 1, ep = 1;
    // Bidirectional schedules keep a stage on ranks r and pp-1-r: their gradients are reduced
    // together.
    bool mirrored = false;
    std::int64_t gpus_per_node = 8;

    std::int64_t lanes() const { return dp * cp * tp; }
    std::int64_t ranks() const { return pp * lanes(); }
};

// Ids of the rank's groups, dense from 0 within each kind.
std::array<std::uint32_t, kGroups> groups_of(const PlacementShape& shape, std::int64_t rank);
std::array<std::uint32_t, kGroups> group_counts(const PlacementShape& shape);
// Members of rank 0's group of this kind, and how many of them share a node.
GroupPlacement group_placement(const PlacementShape& shape, Group kind);
// Two ranks of neighbouring pipeline ranks: on one node or on two.
GroupPlacement neighbour_placement(const PlacementShape& shape);

}  // namespace orrery
