#pragma once
// Which expert each slot of an expert-parallel group holds. A rank has slots / ranks of them;
// popular experts may have several replicas, between which tokens take turns.

#include <cstdint>
#include <vector>

namespace orrery {

struct ExpertPlacement {
    std::int32_t experts = 0, ranks = 0;
    std::vector<std::int32_t> slot_expert;            // expert of each slot, rank by rank
    std::vector<std::vector<std::int32_t>> replicas;  // slots of each expert, ascending

    std::int32_t slots() const { return static_cast<std::int32_t>(slot_expert.size()); }
    std::int32_t slots_per_rank() const { return slots() / ranks; }
    std::int32_t rank_of(std::int32_t slot) const { return slot / slots_per_rank(); }
};

// From the experts of the slots. Throws InputError: slots not divisible by ranks, an expert without
// a slot or out of range.
ExpertPlacement make_placement(std::int32_t experts, std::int32_t ranks,
                               std::vector<std::int32_t> slot_expert);
// Experts in order, experts / ranks a rank, one replica each. Throws InputError unless ranks divide
// experts.
ExpertPlacement contiguous_placement(std::int32_t experts, std::int32_t ranks);

// The same with `slots` of them in all: the ones beyond the experts hold the first experts again,
// spread over the ranks. Throws InputError: fewer slots than experts, slots that ranks do not
// divide.
ExpertPlacement redundant_placement(std::int32_t experts, std::int32_t ranks, std::int32_t slots);

// Load of each rank where an expert's load is spread evenly over its replicas.
std::vector<double> rank_loads(const ExpertPlacement& placement, const std::vector<double>& loads);

}  // namespace orrery
