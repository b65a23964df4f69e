#include "training/placement.hpp"

#include <algorithm>
#include <map>

namespace orrery {
namespace {

// Which pipeline ranks hold the same stages: itself, or the pair of a bidirectional schedule.
std::int64_t holder(const PlacementShape& s, std::int64_t pipeline_rank) {
    return s.mirrored ? std::min(pipeline_rank, s.pp - 1 - pipeline_rank) : pipeline_rank;
}

}  // namespace

std::array<std::uint32_t, kGroups> groups_of(const PlacementShape& s, std::int64_t rank) {
    const std::int64_t lane = rank % s.lanes();
    const std::int64_t pipeline_rank = rank / s.lanes();
    const std::int64_t t = lane % s.tp;
    const std::int64_t c = lane / s.tp % s.cp;
    const std::int64_t d = lane / (s.tp * s.cp);
    const std::int64_t h = holder(s, pipeline_rank);
    std::array<std::uint32_t, kGroups> group{};
    const auto set = [&](Group kind, std::int64_t id) {
        group[static_cast<std::size_t>(kind)] = static_cast<std::uint32_t>(id);
    };
    set(Group::none, 0);
    set(Group::tensor, (pipeline_rank * s.dp + d) * s.cp + c);
    set(Group::context, (pipeline_rank * s.dp + d) * s.tp + t);
    set(Group::expert, ((pipeline_rank * (s.dp / s.ep) + d / s.ep) * s.cp + c) * s.tp + t);
    set(Group::data, h * s.tp + t);
    set(Group::data_expert, (h * s.ep + d % s.ep) * s.tp + t);
    set(Group::pipeline, lane);
    return group;
}

std::array<std::uint32_t, kGroups> group_counts(const PlacementShape& s) {
    std::array<std::uint32_t, kGroups> counts{};
    for (std::int64_t rank = 0; rank < s.ranks(); ++rank) {
        const auto group = groups_of(s, rank);
        for (std::size_t kind = 0; kind < kGroups; ++kind) {
            counts[kind] = std::max(counts[kind], group[kind] + 1);
        }
    }
    return counts;
}

GroupPlacement group_placement(const PlacementShape& s, Group kind) {
    const auto k = static_cast<std::size_t>(kind);
    const std::uint32_t mine = groups_of(s, 0)[k];
    std::map<std::int64_t, std::int64_t> members_on_node;
    std::int64_t members = 0;
    for (std::int64_t rank = 0; rank < s.ranks(); ++rank) {
        if (groups_of(s, rank)[k] != mine) continue;
        ++members;
        ++members_on_node[rank / s.gpus_per_node];
    }
    std::int64_t per_node = 0;
    for (const auto& [node, count] : members_on_node) per_node = std::max(per_node, count);
    return {members, per_node};
}

GroupPlacement neighbour_placement(const PlacementShape& s) {
    const bool same_node = s.lanes() < s.gpus_per_node;
    return {2, same_node ? 2 : 1};
}

}  // namespace orrery
