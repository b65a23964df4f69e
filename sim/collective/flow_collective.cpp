#include "collective/flow_collective.hpp"

#include <fmt/format.h>

#include "collective/flow_algorithms.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

SimDuration run(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    const bool doubling = request.algorithm == FlowAlgorithm::recursive_doubling;
    if (doubling && request.kind != FlowCollective::all_reduce) {
        throw InputError("--algorithm recursive_doubling: must be of an all_reduce");
    }
    switch (request.kind) {
        case FlowCollective::send_recv:
            return run_send_recv(network, request);
        case FlowCollective::all_to_all:
            return run_all_to_all(network, request);
        default:
            return doubling ? run_recursive_doubling(network, request) : run_ring(network, request);
    }
}

// What one rank sends in total.
double sent(const FlowCollectiveRequest& request) {
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

}  // namespace

FlowCollectiveResult run_collective(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    if (request.ranks < 2 || request.ranks > network.ranks()) {
        throw InputError(fmt::format("--ranks {}: must be from 2 to the network's {}",
                                     request.ranks, network.ranks()));
    }
    if (request.ranks_per_node < 1) throw InputError("ranks_per_node: must be >= 1");
    if (!(request.bytes.value() >= 1) || !(request.bytes.value() <= 1e15)) {
        throw InputError(
            fmt::format("--bytes {}: must be from 1 B to 1 PB", request.bytes.value()));
    }
    FlowCollectiveResult result;
    result.time = run(network, request);
    result.bandwidth = Bytes(sent(request)) / to_seconds(result.time);
    result.counts = network.counts();
    return result;
}

}  // namespace orrery
