#include "collective/communication_cost.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

double as_double(std::int64_t n) { return static_cast<double>(n); }

bool is_expert(CommunicationKind kind) {
    return kind == CommunicationKind::expert_dispatch || kind == CommunicationKind::expert_combine;
}

void check(const GroupPlacement& p) {
    if (p.ranks >= 1 && p.ranks_per_node >= 1 && p.ranks % p.ranks_per_node == 0) return;
    throw InputError(fmt::format("group of {} ranks, {} a node: must be positive and divide evenly",
                                 p.ranks, p.ranks_per_node));
}

}  // namespace

CommunicationCost::CommunicationCost(ClusterProfile cluster)
    : cluster_(std::move(cluster)), node_(cluster_) {
    dispatch_ = calibrate(true);
    combine_ = calibrate(false);
}

CommunicationCost::ExpertRates CommunicationCost::calibrate(bool dispatch) const {
    const double nvlink = cluster_.nvlink_bandwidth.value.value();
    const double nic = cluster_.nic_bandwidth.value.value();
    ExpertRates rates;
    rates.origin =
        weakest(cluster_.nvlink_bandwidth.from.origin, cluster_.nic_bandwidth.from.origin);
    const DataTable* table = cluster_.find_table("expert_all_to_all");
    if (table == nullptr) {
        rates.one_node = rates.nvlink = nvlink;
        rates.nic = nic * cluster_.nic_efficiency.value.value();
        rates.origin = weakest(rates.origin, Origin::derived);
        return rates;
    }
    rates.origin = weakest(rates.origin, table->from.origin);
    const auto ranks = table->column("ranks"), per_node = table->column("ranks_per_node");
    const auto top_k = table->column("top_k"), experts = table->column("experts");
    const auto limit = table->column("node_limit"), table_nvlink = table->column("nvlink_GBps");
    const auto table_nic = table->column("nic_GBps");
    const auto rate = table->column(dispatch ? "dispatch_GBps" : "combine_GBps");
    for (const auto& row : table->numbers) {
        const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
        const std::int64_t nodes = std::max<std::int64_t>(1, integer(ranks) / integer(per_node));
        const double reached = expected_destination_ranks(integer(ranks), nodes, integer(top_k),
                                                          integer(experts), integer(limit));
        const double nvlink_scale = nvlink / (row[table_nvlink] * 1e9);
        const double published = row[rate] * 1e9;
        if (nodes == 1) {
            rates.one_node = std::max(rates.one_node, published * nvlink_scale);
            continue;
        }
        const double pairs =
            expected_destination_nodes(nodes, integer(top_k), integer(experts), integer(limit));
        const double leaving = 1 - 1 / as_double(nodes);
        rates.nvlink = std::max(rates.nvlink, published * reached / pairs * nvlink_scale);
        rates.nic = std::max(rates.nic, published * leaving * nic / (row[table_nic] * 1e9));
        rates.largest = std::max(rates.largest, integer(ranks));
    }
    if (rates.one_node == 0) rates.one_node = nvlink;
    if (rates.nvlink == 0) rates.nvlink = nvlink;
    if (rates.nic == 0) rates.nic = nic * cluster_.nic_efficiency.value.value();
    return rates;
}

CommunicationCost::Times CommunicationCost::buffer_times(const Communication& op,
                                                         const GroupPlacement& p) const {
    const double nic_rate =
        cluster_.nic_bandwidth.value.value() * cluster_.nic_efficiency.value.value();
    const double nvlink_rate = cluster_.nvlink_bandwidth.value.value();
    const bool across = p.ranks > p.ranks_per_node;
    const double n = as_double(p.ranks), g = as_double(p.ranks_per_node), nodes = n / g;
    const double hop = (across ? cluster_.nic_latency : cluster_.nvlink_latency).value.value();
    const double buffer = op.bytes.value();
    const double rounds = op.kind == CommunicationKind::all_reduce ? 2 : 1;
    double leaving = 0, inside = 0, hops = 1;  // bytes a rank puts on its NIC and its NVLink
    switch (op.kind) {
        case CommunicationKind::all_reduce:
        case CommunicationKind::all_gather:
        case CommunicationKind::reduce_scatter:
            leaving = rounds * buffer / g * (nodes - 1) / nodes;
            inside = rounds * buffer * (g - 1) / g;
            hops = rounds * std::ceil(std::log2(n));
            break;
        case CommunicationKind::all_to_all:
            leaving = buffer * (n - g) / (n - 1);
            inside = buffer * (g - 1) / (n - 1);
            break;
        case CommunicationKind::broadcast:
            hops = std::ceil(std::log2(n));
            [[fallthrough]];
        default:
            (across ? leaving : inside) = buffer;
            break;
    }
    return {leaving / nic_rate, inside / nvlink_rate, hops * hop, inside};
}

CommunicationEstimate CommunicationCost::finish(const Communication& op, const Times& times,
                                                Origin origin, std::string rule) const {
    CommunicationEstimate estimate;
    estimate.time = Seconds(std::max(times.nic, times.nvlink) + times.latency);
    estimate.memory_traffic = orrery::bytes(Operator{"", op}) / estimate.time;
    estimate.origin = origin;
    estimate.rule = std::move(rule);
    return estimate;
}

CommunicationEstimate CommunicationCost::expert(const Communication& op,
                                                const GroupPlacement& p) const {
    const bool dispatch = op.kind == CommunicationKind::expert_dispatch;
    const ExpertRates& rates = dispatch ? dispatch_ : combine_;
    const std::int64_t nodes = p.ranks / p.ranks_per_node;
    const double payload = op.bytes.value() * as_double(op.tokens);
    const double reached =
        expected_destination_ranks(p.ranks, nodes, op.top_k, op.experts, op.node_limit);
    Times times;
    times.latency = cluster_.nvlink_latency.value.value();
    if (nodes == 1) {
        times.nvlink = payload * reached / rates.one_node;
        const Origin origin =
            weakest(rates.origin, p.ranks == 8 ? Origin::measured : Origin::derived);
        return finish(op, times, origin, "expert_all_to_all table, inside a node");
    }
    const double pairs = expected_destination_nodes(nodes, op.top_k, op.experts, op.node_limit);
    times.latency += cluster_.nic_latency.value.value();
    times.nic = payload * pairs * (1 - 1 / as_double(nodes)) / rates.nic;
    times.nvlink = payload * reached / rates.nvlink;
    const bool beyond = p.ranks > rates.largest;
    return finish(op, times, beyond ? weakest(rates.origin, Origin::derived) : rates.origin,
                  fmt::format("expert_all_to_all table, {}{}",
                              times.nic >= times.nvlink ? "NIC-limited" : "NVLink-limited",
                              beyond ? ", beyond its largest group" : ""));
}

CommunicationEstimate CommunicationCost::time(const Communication& op,
                                              const GroupPlacement& placement) const {
    check(placement);
    if (placement.ranks == 1)
        return {Seconds(0), BytesPerSecond(0), Origin::derived, "one rank: nothing is sent"};
    if (is_expert(op.kind)) return expert(op, placement);
    const Times times = buffer_times(op, placement);
    const bool across = placement.ranks > placement.ranks_per_node;
    if (!across) {
        if (const auto known = node_.time(op.kind, placement.ranks, times.sent)) {
            return finish(op, {0, *known, 0, times.sent}, node_.origin(),
                          "node_collectives table, scaled to the ranks");
        }
    }
    Origin origin = Origin::measured;
    if (across) {
        origin = weakest(
            weakest(cluster_.nic_bandwidth.from.origin, cluster_.nic_efficiency.from.origin),
            cluster_.nic_latency.from.origin);
    }
    if (!across || times.nvlink > times.nic) {
        origin = weakest(origin, weakest(cluster_.nvlink_bandwidth.from.origin,
                                         cluster_.nvlink_latency.from.origin));
    }
    return finish(op, times, weakest(origin, Origin::derived),
                  across ? "latency + bytes over NIC and NVLink" : "latency + bytes over NVLink");
}

}  // namespace orrery
