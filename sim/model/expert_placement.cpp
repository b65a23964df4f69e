#include "model/expert_placement.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

ExpertPlacement make_placement(std::int32_t experts, std::int32_t ranks,
                               std::vector<std::int32_t> slot_expert) {
    ExpertPlacement placement{experts, ranks, std::move(slot_expert), {}};
    if (experts < 1 || ranks < 1 || placement.slots() % ranks != 0) {
        throw InputError(fmt::format("placement of {} experts: {} slots must divide over {} ranks",
                                     experts, placement.slots(), ranks));
    }
    placement.replicas.resize(static_cast<std::size_t>(experts));
    for (std::int32_t slot = 0; slot < placement.slots(); ++slot) {
        const std::int32_t expert = placement.slot_expert[static_cast<std::size_t>(slot)];
        if (expert < 0 || expert >= experts) {
            throw InputError(fmt::format("placement: slot {} holds expert {}: must be below {}",
                                         slot, expert, experts));
        }
        placement.replicas[static_cast<std::size_t>(expert)].push_back(slot);
    }
    for (std::size_t e = 0; e < placement.replicas.size(); ++e) {
        if (placement.replicas[e].empty()) {
            throw InputError(fmt::format("placement: expert {}: must have at least one slot", e));
        }
    }
    return placement;
}

ExpertPlacement contiguous_placement(std::int32_t experts, std::int32_t ranks) {
    if (ranks < 1 || experts < 1 || experts % ranks != 0) {
        throw InputError(
            fmt::format("{} experts on {} ranks: the ranks must divide the experts, or redundant "
                        "experts must fill them",
                        experts, ranks));
    }
    std::vector<std::int32_t> slot_expert(static_cast<std::size_t>(experts));
    for (std::size_t e = 0; e < slot_expert.size(); ++e) {
        slot_expert[e] = static_cast<std::int32_t>(e);
    }
    return make_placement(experts, ranks, std::move(slot_expert));
}

ExpertPlacement redundant_placement(std::int32_t experts, std::int32_t ranks, std::int32_t slots) {
    if (ranks < 1 || slots < experts || slots % ranks != 0) {
        throw InputError(
            fmt::format("{} expert slots: must be at least the {} experts and a multiple of the {} "
                        "ranks",
                        slots, experts, ranks));
    }
    std::vector<std::int32_t> slot_expert;
    std::int32_t next = 0, extra = 0;
    for (std::int32_t rank = 0; rank < ranks; ++rank) {
        const std::int64_t until = std::int64_t{experts} * (rank + 1) / ranks;
        for (std::int32_t slot = 0; slot < slots / ranks; ++slot) {
            slot_expert.push_back(next < until ? next++ : extra++ % experts);
        }
    }
    return make_placement(experts, ranks, std::move(slot_expert));
}

std::vector<double> rank_loads(const ExpertPlacement& placement, const std::vector<double>& loads) {
    std::vector<double> result(static_cast<std::size_t>(placement.ranks), 0);
    for (std::size_t e = 0; e < placement.replicas.size(); ++e) {
        const double share = loads[e] / static_cast<double>(placement.replicas[e].size());
        for (const std::int32_t slot : placement.replicas[e]) {
            result[static_cast<std::size_t>(placement.rank_of(slot))] += share;
        }
    }
    return result;
}

}  // namespace orrery
