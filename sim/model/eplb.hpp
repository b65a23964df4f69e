#pragma once
// EPLB, DeepSeek's expert-parallel load balancer: where experts and their replicas go, from how
// often each was chosen. Algorithm as published in deepseek-ai/EPLB (README and eplb.py @d52c72d);
// the code here is our own.
//
//   pack       n weighted items into m packs of n / m items: heaviest first, each into the lightest
//              pack that has room
//   replicate  one replica each; every further one to the expert with the largest load / replicas
//   hierarchical (expert groups divide over nodes): pack groups into nodes, replicate inside each
//              node, pack a node's replicas into its GPUs
//   global     (they do not): the same with one group on one node
// Ties go to the lower index.

#include <cstdint>
#include <vector>

#include "core/quantity.hpp"
#include "model/expert_placement.hpp"

namespace orrery {

struct Packing {
    std::vector<std::int32_t> pack;      // of each item
    std::vector<std::int32_t> position;  // of each item in its pack
};
// Throws InputError unless `packs` divide the items.
Packing pack_balanced(const std::vector<double>& weights, std::int32_t packs);

struct Replication {
    std::vector<std::int32_t> expert;  // of each replica: the experts in order, then the added ones
    std::vector<std::int32_t> count;   // replicas of each expert
};
// Throws InputError where there are fewer replicas than experts.
Replication replicate(const std::vector<double>& loads, std::int32_t replicas);

struct EplbShape {
    std::int32_t replicas = 0;  // expert slots of all GPUs together
    std::int32_t groups = 1;    // expert groups of the gate
    std::int32_t nodes = 1, gpus = 1;
    bool hierarchical() const { return groups % nodes == 0; }
};
// Throws InputError where the shape cannot be: replicas not divisible by gpus, gpus by nodes,
// experts by groups, fewer replicas than experts.
ExpertPlacement rebalance_experts(const std::vector<double>& loads, const EplbShape& shape);

// What changing from one placement to another moves. A GPU fetches each expert that it lacks once,
// from a holder on its node where there is one, else over its NIC; among equals from the holder
// that has sent least.
struct RebalanceCost {
    std::int64_t moved = 0;        // experts fetched, all GPUs together
    std::int64_t over_nic = 0;     // of them from another node
    std::int64_t most_nic = 0;     // most that one GPU's NIC sends or receives
    std::int64_t most_nvlink = 0;  // the same for NVLink
    // Bytes of experts over one GPU's links, both kinds at once.
    Seconds time(Bytes expert, BytesPerSecond nvlink, BytesPerSecond nic) const;
};
// Throws InputError where the two have other experts or ranks.
RebalanceCost rebalance_cost(const ExpertPlacement& before, const ExpertPlacement& after,
                             std::int32_t ranks_per_node);

}  // namespace orrery
