#pragma once
// What a job's communication loads on the cluster's links, for replays in which they share them.
//
//   expert all-to-all   each (token, node) pair from a rank's NIC to the rank of equal index there,
//                       forwarded over NVLink; combine the same way back
//   pipeline send       from the rank to the same lane of the other pipeline rank
//
// Between two ranks bytes spread evenly over all shortest paths (adaptive routing at its best); a
// link carries `nic_bandwidth`, of which each kind of traffic uses what its efficiency says: the
// all-to-all expert_all_to_all.nic_efficiency and nvlink_efficiency, sends nic_efficiency.
//
// Left out: the optimizer's collectives, which run when nothing else moves; tensor and context
// collectives; queues and losses in switches.

#include <set>
#include <utility>

#include "replay/shared_network.hpp"
#include "training/placement.hpp"
#include "training/routed_experts.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// `sends`: (from, to) pipeline ranks. Throws InputError where the cluster has no network that holds
// the plan's ranks.
SharedNetwork job_network(const TrainingSpec& spec, const PlacementShape& shape,
                          const RoutedExperts& experts, const std::set<std::pair<int, int>>& sends);

}  // namespace orrery
