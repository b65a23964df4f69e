#include "collective/nccl_collective.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "collective/flow_algorithms.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

constexpr double kPs = 1e12;
constexpr double kSmallPart = 16384;  // bytes of a channel that NCCL still sends as LL

SimDuration duration(double seconds) { return {std::llround(seconds * kPs)}; }

bool is_p2p(FlowCollective kind) {
    return kind == FlowCollective::send_recv || kind == FlowCollective::all_to_all;
}

std::uint32_t nodes_of(const FlowCollectiveRequest& r) {
    return (r.ranks + r.ranks_per_node - 1) / r.ranks_per_node;
}

// The first of NCCL's estimates that is what was asked for.
NcclEstimate choose(const std::vector<NcclEstimate>& estimates,
                    const FlowCollectiveRequest& request) {
    const bool any = request.algorithm == FlowAlgorithm::automatic;
    for (const NcclEstimate& e : estimates) {
        if (!any && e.algorithm != request.algorithm) continue;
        if (request.protocol && e.protocol != *request.protocol) continue;
        return e;
    }
    // What it does not weigh here: nvls switched off, hierarchical.
    const FlowProtocol protocol = request.protocol.value_or(FlowProtocol::simple);
    if (request.algorithm == FlowAlgorithm::nvls && protocol != FlowProtocol::simple) {
        throw InputError("--protocol: must be Simple with --algorithm nvls");
    }
    return {request.algorithm, protocol, Seconds(0)};
}

ProtocolPrice price_of(const ProtocolCosts::Shape& shape, const NcclTuning& tuning,
                       const ProtocolCosts& costs) {
    if (const auto known = costs.price(shape)) return *known;
    if (shape.algorithm != FlowAlgorithm::nvls) {
        throw InputError(fmt::format("--algorithm {}: {}: must be one that was measured",
                                     to_string(shape.algorithm), to_string(shape.protocol)));
    }
    const NcclTuning::Latency latency = tuning.latency(shape.algorithm, shape.protocol);
    ProtocolPrice price;
    price.fixed =
        latency.base + latency.nvlink + 2 * std::floor(std::log2(shape.nodes)) * latency.net;
    price.payload = tuning.nvls_efficiency();
    price.origin = Origin::specified;
    return price;
}

void add(ProtocolPrice& sum, const ProtocolPrice& one, bool first) {
    sum.fixed += one.fixed;
    sum.moving += one.moving;
    sum.local += one.local;
    sum.correction = one.correction;
    sum.payload = one.payload;
    sum.origin = first ? one.origin : weakest(sum.origin, one.origin);
}

// Bytes of a channel decide p2p's protocol; nobody measured them apart.
FlowProtocol p2p_protocol(const FlowCollectiveRequest& r) {
    const double bytes = r.bytes.value(), n = std::min(r.ranks, r.ranks_per_node);
    const double part = bytes / p2p_channels(r.kind, n, bytes);
    return part <= kSmallPart ? FlowProtocol::ll : FlowProtocol::simple;
}

double run_p2p(RoutedNetwork& network, const FlowCollectiveRequest& request,
               const ProtocolCosts& costs, NcclCollective& answer) {
    const bool all = request.kind == FlowCollective::all_to_all;
    const double latency = static_cast<double>(network.path(0, 1).latency.ps) / kPs;
    const SimDuration flows =
        all ? run_all_to_all(network, request) : run_send_recv(network, request);
    const double links = to_seconds(flows).value();
    answer.result.algorithm = FlowAlgorithm::pairwise;
    answer.result.protocol = p2p_protocol(request);
    const double ranks = std::min(request.ranks, request.ranks_per_node);
    // A rank's channels serve what it sends, whichever way that goes. Bytes here leave out the
    // rank's own part, NCCL's buffer has it.
    const double buffer =
        all ? request.bytes.value() * request.ranks / (request.ranks - 1) : request.bytes.value();
    const auto price = costs.price({.kind = request.kind,
                                    .algorithm = FlowAlgorithm::pairwise,
                                    .protocol = FlowProtocol::none,
                                    .ranks = std::max(2.0, ranks),
                                    .nodes = double{1} * nodes_of(request),
                                    .bytes = buffer});
    if (price) answer.price = *price;
    const auto at_links_pace = [&](double seconds) {
        answer.price.moving = 0;
        answer.price.correction = 1;
        answer.bytes_time = seconds;
        return answer.price.fixed + seconds;
    };
    if (!price || nodes_of(request) > 1) return at_links_pace(links);
    answer.bytes_time = price->moving;
    // Measured were equal messages, all at once: others take no less.
    const double equal = (price->fixed + price->moving) * price->correction;
    if (all && request.pattern != AllToAllPattern::simultaneous) {
        if (equal >= price->fixed + links - latency) return equal;
        return at_links_pace(links - latency);
    }
    answer.bytes_time = std::max(price->moving, links - latency);
    return (price->fixed + answer.bytes_time) * price->correction;
}

double run_stages(RoutedNetwork& network, const FlowCollectiveRequest& request,
                  const NcclTuning& tuning, const ProtocolCosts& costs, NcclCollective& answer) {
    double time = 0;
    const auto stages = symmetric_stages(network, request, answer.result.algorithm);
    for (const SymmetricStage& stage : stages) {
        ProtocolCosts::Shape shape = stage.shape;
        shape.protocol = answer.result.protocol;
        const ProtocolPrice price = price_of(shape, tuning, costs);
        SymmetricStage wire = stage;
        wire.bytes /= price.payload;
        const double cap = price.moving > 0 ? wire.bytes / price.moving : 0;
        // At the protocol's own pace, unless links are slower.
        const SimDuration moved = run_stage(
            network, wire, {0}, cap > 0 ? std::optional(BytesPerSecond(cap)) : std::nullopt);
        time += (price.fixed + to_seconds(moved).value() + price.local) * price.correction;
        answer.bytes_time += to_seconds(moved).value();
        add(answer.price, price, &stage == stages.data());
    }
    if (stages.size() > 1) {
        const ProtocolPrice& all = answer.price;
        answer.price.correction = time / (all.fixed + answer.bytes_time + all.local);
    }
    return time;
}

}  // namespace

NcclCollective run_nccl_collective(RoutedNetwork& network, const FlowCollectiveRequest& request,
                                   const NcclTuning& tuning, const ProtocolCosts& costs) {
    check_request(network, request);
    NcclCollective answer;
    double time = 0;
    if (is_p2p(request.kind)) {
        time = run_p2p(network, request, costs, answer);
    } else {
        answer.estimates =
            tuning.estimates(request.kind, request.ranks, request.ranks_per_node, request.bytes);
        const NcclEstimate best = choose(answer.estimates, request);
        answer.was_chosen =
            request.algorithm == FlowAlgorithm::automatic && !request.protocol.has_value();
        answer.result.algorithm = best.algorithm;
        answer.result.protocol = best.protocol;
        time = run_stages(network, request, tuning, costs, answer);
    }
    answer.result.time = duration(time);
    answer.result.bandwidth = Bytes(sent_by_rank(request)) / Seconds(time);
    answer.result.counts = network.counts();
    return answer;
}

}  // namespace orrery
