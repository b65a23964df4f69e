#include "study/collective_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/cluster_profile.hpp"
#include "network/cluster_topology.hpp"

namespace orrery {
namespace {

bool is_links_only(const FlowCollectiveRequest& request) {
    return request.expansion == FlowExpansion::messages ||
           request.algorithm == FlowAlgorithm::recursive_doubling;
}

}  // namespace

CollectiveAnswer answer_collective(FlowCollectiveRequest request, Routing routing,
                                   const std::string& cluster, const std::vector<std::string>& sets,
                                   const std::filesystem::path& profiles) {
    const ClusterProfile profile = load_cluster(cluster, profiles, profile_changes(sets));
    RoutedNetwork network(cluster_topology(profile), routing);
    if (request.ranks == 0) request.ranks = network.ranks();
    const auto per_node = static_cast<std::uint32_t>(profile.gpus_per_node.value.value());
    request.ranks_per_node = std::min(per_node, request.ranks);
    CollectiveAnswer answer{.cluster = profile.name, .result = {}, .nccl = {}};
    if (!is_links_only(request)) {
        const auto tuning = NcclTuning::of(profile);
        const auto costs = tuning ? ProtocolCosts::of(profile, *tuning) : std::nullopt;
        if (costs) answer.nccl = run_nccl_collective(network, request, *tuning, *costs);
    }
    if (!answer.nccl && request.protocol) {
        throw InputError(
            fmt::format("--protocol: must be of a cluster with tables protocol_times and nccl_*, "
                        "and with an algorithm of NCCL; {} here has links only",
                        profile.name));
    }
    answer.result = answer.nccl ? answer.nccl->result : run_collective(network, request);
    return answer;
}

}  // namespace orrery
