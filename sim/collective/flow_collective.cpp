#include "collective/flow_collective.hpp"

#include <cmath>

#include <fmt/format.h>

#include "collective/flow_algorithms.hpp"
#include "collective/symmetric_collective.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

FlowAlgorithm algorithm_of(const FlowCollectiveRequest& request) {
    if (request.algorithm != FlowAlgorithm::automatic) return request.algorithm;
    const bool p2p =
        request.kind == FlowCollective::send_recv || request.kind == FlowCollective::all_to_all;
    return p2p ? FlowAlgorithm::pairwise : FlowAlgorithm::ring;
}

// The others are only ever one variable.
bool has_messages(FlowAlgorithm algorithm) {
    return algorithm != FlowAlgorithm::nvls && algorithm != FlowAlgorithm::hierarchical;
}

SimDuration run_one(RoutedNetwork& network, const FlowCollectiveRequest& request,
                    FlowAlgorithm algorithm) {
    if (request.pattern != AllToAllPattern::simultaneous) {
        throw InputError("--expand one: must be of --pattern simultaneous");
    }
    SimDuration time{};
    for (const SymmetricStage& stage : symmetric_stages(network, request, algorithm)) {
        time = time + run_stage(network, stage, {std::llround(stage.latency_ps)});
    }
    return time;
}

SimDuration run_messages_of(RoutedNetwork& network, const FlowCollectiveRequest& request,
                            FlowAlgorithm algorithm) {
    if (!has_messages(algorithm)) {
        throw InputError(
            fmt::format("--expand messages: must be without {}", to_string(algorithm)));
    }
    check_algorithm(request.kind, algorithm);
    switch (algorithm) {
        case FlowAlgorithm::pairwise:
            return request.kind == FlowCollective::send_recv ? run_send_recv(network, request)
                                                             : run_all_to_all(network, request);
        case FlowAlgorithm::tree:
            return run_tree(network, request);
        case FlowAlgorithm::recursive_doubling:
            return run_recursive_doubling(network, request);
        default:
            return run_ring(network, request);
    }
}

}  // namespace

double sent_by_rank(const FlowCollectiveRequest& request) {
    const double n = request.ranks, bytes = request.bytes.value();
    switch (request.kind) {
        case FlowCollective::all_gather:
        case FlowCollective::reduce_scatter:
            return bytes * (n - 1) / n;
        case FlowCollective::all_reduce:
            return 2 * bytes * (n - 1) / n;
        default:
            return bytes;
    }
}

void check_request(const RoutedNetwork& network, const FlowCollectiveRequest& request) {
    if (request.ranks < 2 || request.ranks > network.ranks()) {
        throw InputError(fmt::format("--ranks {}: must be from 2 to the network's {}",
                                     request.ranks, network.ranks()));
    }
    if (request.ranks_per_node < 1) throw InputError("ranks_per_node: must be >= 1");
    if (!(request.bytes.value() >= 1) || !(request.bytes.value() <= 1e15)) {
        throw InputError(
            fmt::format("--bytes {}: must be from 1 B to 1 PB", request.bytes.value()));
    }
}

FlowCollectiveResult run_collective(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    check_request(network, request);
    const FlowAlgorithm algorithm = algorithm_of(request);
    const bool one = request.expansion == FlowExpansion::automatic
                         ? !has_messages(algorithm)
                         : request.expansion == FlowExpansion::one;
    FlowCollectiveResult result;
    result.algorithm = algorithm;
    result.time =
        one ? run_one(network, request, algorithm) : run_messages_of(network, request, algorithm);
    result.bandwidth = Bytes(sent_by_rank(request)) / to_seconds(result.time);
    result.counts = network.counts();
    return result;
}

}  // namespace orrery
