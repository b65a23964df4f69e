#include "study/collective_answer.hpp"

#include <algorithm>

#include "hardware/cluster_profile.hpp"
#include "network/cluster_topology.hpp"

namespace orrery {

CollectiveAnswer answer_collective(FlowCollectiveRequest request, Routing routing,
                                   const std::string& cluster, const std::vector<std::string>& sets,
                                   const std::filesystem::path& profiles) {
    const ClusterProfile profile = load_cluster(cluster, profiles, sets);
    RoutedNetwork network(cluster_topology(profile), routing);
    if (request.ranks == 0) request.ranks = network.ranks();
    const auto per_node = static_cast<std::uint32_t>(profile.gpus_per_node.value.value());
    request.ranks_per_node = std::min(per_node, request.ranks);
    return {profile.name, run_collective(network, request)};
}

}  // namespace orrery
