#pragma once
// What `orrery collective` shows for a collective expanded to flows on a cluster's network.

#include <filesystem>
#include <string>
#include <vector>

#include "collective/flow_collective.hpp"

namespace orrery {

struct CollectiveAnswer {
    std::string cluster;
    FlowCollectiveResult result;
};

// `request.ranks` are the cluster's first ones; 0: all. Its ranks_per_node comes from the cluster.
// Throws InputError.
CollectiveAnswer answer_collective(FlowCollectiveRequest request, Routing routing,
                                   const std::string& cluster, const std::vector<std::string>& sets,
                                   const std::filesystem::path& profiles);

}  // namespace orrery
