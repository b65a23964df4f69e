#pragma once
// What `orrery collective` shows for a collective expanded to flows on a cluster's network.

#include <filesystem>
#include <string>
#include <vector>

#include "collective/nccl_collective.hpp"

namespace orrery {

struct CollectiveAnswer {
    std::string cluster;
    FlowCollectiveResult result;
    // Where the cluster says what NCCL does there and how long its protocols take: what it
    // compared, and what the protocol costs. Else links, latencies and sharing only.
    std::optional<NcclCollective> nccl;
};

// `request.ranks` are the cluster's first ones; 0: all. Its ranks_per_node comes from the cluster.
// Links only also where the request asks for messages, or for an algorithm that NCCL does not have.
// Throws InputError.
CollectiveAnswer answer_collective(FlowCollectiveRequest request, Routing routing,
                                   const std::string& cluster, const std::vector<std::string>& sets,
                                   const std::filesystem::path& profiles);

}  // namespace orrery
