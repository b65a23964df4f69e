#include "collective/expert_all_to_all.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "collective/expert_loads.hpp"
#include "core/error.hpp"

namespace orrery {

namespace {

double as_double(std::int64_t n) { return static_cast<double>(n); }

template <class Enum, std::size_t N>
Enum parse(const std::string& text, const std::string& where, const Enum (&values)[N]) {
    std::string known;
    for (const Enum value : values) {
        if (text == to_string(value)) return value;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", to_string(value));
    }
    throw InputError(fmt::format("{} {}: must be one of: {}", where, text, known));
}

std::int64_t sum(const std::vector<std::int32_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

double largest(const std::vector<double>& values) {
    return *std::max_element(values.begin(), values.end());
}

std::int64_t most(const std::vector<std::int64_t>& counts) {
    return *std::max_element(counts.begin(), counts.end());
}

}  // namespace

std::string_view to_string(ExpertMode mode) {
    return mode == ExpertMode::normal ? "normal" : "low_latency";
}

std::string_view to_string(ExpertVersion version) {
    switch (version) {
        case ExpertVersion::v2025_02:
            return "2025-02";
        case ExpertVersion::v2025_04:
            return "2025-04";
        case ExpertVersion::v2025_06:
            break;
    }
    return "2025-06";
}

ExpertMode parse_expert_mode(const std::string& text, const std::string& where) {
    return parse(text, where, {ExpertMode::normal, ExpertMode::low_latency});
}

ExpertVersion parse_expert_version(const std::string& text, const std::string& where) {
    return parse(text, where,
                 {ExpertVersion::v2025_02, ExpertVersion::v2025_04, ExpertVersion::v2025_06});
}

Bytes expert_payload(ExpertMode mode, bool dispatch, std::int64_t hidden) {
    if (!dispatch) return Bytes(2 * as_double(hidden));
    const double scales = 4 * std::ceil(as_double(hidden) / 128);
    return Bytes(as_double(hidden) + scales + (mode == ExpertMode::low_latency ? 16 : 0));
}

ExpertAllToAll::ExpertAllToAll(ClusterProfile cluster) : cluster_(std::move(cluster)) {
    if (!cluster_.expert_costs) {
        throw InputError(fmt::format("cluster {}: has no block expert_all_to_all", cluster_.name));
    }
    costs_ = *cluster_.expert_costs;
    nic_ = cluster_.nic_bandwidth.value.value();
    nvlink_ = cluster_.nvlink_bandwidth.value.value();
}

ExpertTime ExpertAllToAll::time(const ExpertTraffic& traffic,
                                const ExpertTransfer& transfer) const {
    if (!(transfer.payload.value() > 0)) throw InputError("expert all-to-all: payload must be > 0");
    if (transfer.sms < 1) {
        throw InputError(
            fmt::format("expert all-to-all: {} SMs: must be at least 1", transfer.sms));
    }
    ExpertTime result = transfer.mode == ExpertMode::normal ? normal(traffic, transfer)
                                                            : low_latency(traffic, transfer);
    result.slowest = Seconds(largest(result.ranks));
    result.time = Seconds(std::accumulate(result.ranks.begin(), result.ranks.end(), 0.0) /
                          as_double(traffic.ranks));
    double counted = as_double(traffic.tokens * traffic.ranks * traffic.top_k);
    if (transfer.mode == ExpertMode::normal) {
        counted = as_double(sum(traffic.nodes() > 1 ? traffic.node_pairs : traffic.rank_pairs));
    }
    result.bandwidth = transfer.payload * (counted / as_double(traffic.ranks)) / result.time;
    result.origin = weakest(costs_.origin(), weakest(cluster_.nvlink_bandwidth.from.origin,
                                                     cluster_.nic_bandwidth.from.origin));
    return result;
}

ExpertTime ExpertAllToAll::normal(const ExpertTraffic& traffic,
                                  const ExpertTransfer& transfer) const {
    const ForwardedLoads loads = forwarded_loads(traffic);
    const double payload = transfer.payload.value();
    const double forwarded = as_double(most(loads.forwarded));
    ExpertTime result;
    result.sms = transfer.sms;
    const double nic_rate = costs_.nic_efficiency.value.value() * nic_;
    const double nvlink_rate = costs_.nvlink_efficiency.value.value() * nvlink_;
    const double nic = as_double(loads.nic.most()) * payload / nic_rate;
    const double nvlink = as_double(loads.nvlink.most()) * payload / nvlink_rate;
    const double rate = (transfer.dispatch ? costs_.sm_dispatch : costs_.sm_combine).value.value();
    const double sm = forwarded * 2 * payload / (transfer.sms * rate);
    result.nic = Seconds(nic);
    result.nvlink = Seconds(nvlink);
    result.sm = Seconds(sm);
    result.stages = {as_double(most(loads.nic.sent)) * payload / nic_rate,
                     as_double(most(loads.nic.received)) * payload / nic_rate,
                     as_double(most(loads.nvlink.sent)) * payload / nvlink_rate,
                     as_double(most(loads.nvlink.received)) * payload / nvlink_rate, sm};
    const double inside = std::max(nvlink, sm);
    double time = flight(ExpertMode::normal, result.stages, traffic.nodes(), 1);
    result.limit = nic > inside ? "NIC" : nvlink >= sm ? "NVLink" : "SMs";
    if (transfer.version == ExpertVersion::v2025_02 && traffic.nodes() > 1) {
        std::int64_t most = 0;
        for (std::int32_t rank = 0; rank < traffic.ranks; ++rank) {
            std::int64_t pairs = 0;
            for (std::int32_t node = 0; node < traffic.nodes(); ++node) {
                pairs += traffic.to_node(rank, node);
            }
            most = std::max(most, pairs);
        }
        const double staging = as_double(most) * payload / costs_.staging_2025_02.value.value();
        if (staging > time) result.limit = "staging";
        time = std::max(time, staging);
    }
    time += cluster_.nvlink_latency.value.value();
    if (traffic.nodes() > 1) time += cluster_.nic_latency.value.value();
    result.ranks.assign(static_cast<std::size_t>(traffic.ranks), time);
    return result;
}

ExpertTime ExpertAllToAll::low_latency(const ExpertTraffic& traffic,
                                       const ExpertTransfer& transfer) const {
    const DirectLoads loads = direct_loads(traffic, transfer.version != ExpertVersion::v2025_06);
    const double payload = transfer.payload.value();
    const double message =
        payload / (costs_.nic_efficiency.value.value() * nic_) + costs_.message_time.value.value();
    ExpertTime result;
    for (std::size_t rank = 0; rank < loads.nic.sent.size(); ++rank) {
        const double nic = as_double(loads.nic.of(rank)) * message;
        const double nvlink = as_double(loads.nvlink.of(rank)) * payload / nvlink_;
        result.ranks.push_back(costs_.barrier.value.value() + std::max(nic, nvlink));
        result.nic = std::max(result.nic, Seconds(nic));
        result.nvlink = std::max(result.nvlink, Seconds(nvlink));
    }
    result.limit = result.nic > result.nvlink ? "NIC" : "NVLink";
    result.stages.nic_sent = as_double(most(loads.nic.sent)) * message;
    result.stages.nic_received = as_double(most(loads.nic.received)) * message;
    result.stages.nvlink_sent = as_double(most(loads.nvlink.sent)) * payload / nvlink_;
    result.stages.nvlink_received = as_double(most(loads.nvlink.received)) * payload / nvlink_;
    return result;
}

double ExpertAllToAll::flight(ExpertMode mode, const ExpertStages& s, std::int32_t nodes,
                              double fullest) const {
    const double nic = std::max(fullest * s.nic_sent, s.nic_received);
    if (mode == ExpertMode::low_latency) {
        return std::max({nic, fullest * s.nvlink_sent, s.nvlink_received});
    }
    const double forwarder = 1 + (fullest - 1) / as_double(nodes);
    const double inside =
        std::max({forwarder * s.nvlink_sent, s.nvlink_received, forwarder * s.forwarded});
    return std::max(nic, inside) + costs_.overlap_loss.value.value() * std::min(nic, inside);
}

Seconds ExpertAllToAll::notify(const ExpertTraffic& traffic) const {
    const Seconds inside = 2.0 * cluster_.nvlink_latency.value;
    return traffic.nodes() > 1 ? inside + 2.0 * cluster_.nic_latency.value : inside;
}

ExpertTimeline ExpertAllToAll::timeline(const ExpertTraffic& traffic,
                                        const ExpertTransfer& transfer,
                                        const std::vector<double>& arrivals) const {
    if (arrivals.size() != static_cast<std::size_t>(traffic.ranks)) {
        throw InputError(fmt::format("expert all-to-all: {} arrivals given for {} ranks",
                                     arrivals.size(), traffic.ranks));
    }
    const ExpertTime alone = time(traffic, transfer);
    const double last = largest(arrivals);
    ExpertTimeline result;
    for (std::size_t rank = 0; rank < arrivals.size(); ++rank) {
        if (transfer.mode == ExpertMode::normal) {
            result.begin.push_back(last + notify(traffic).value());
            result.end.push_back(result.begin[rank] + alone.ranks[rank]);
            result.waited.push_back(result.begin[rank] - arrivals[rank]);
            continue;
        }
        // The last sender's messages pass in what is left after its launch: at most one rank's
        // time.
        const double own = arrivals[rank] + alone.ranks[rank];
        result.begin.push_back(arrivals[rank]);
        result.end.push_back(std::max(own, last + alone.ranks[rank]));
        result.waited.push_back(result.end[rank] - own);
    }
    return result;
}

}  // namespace orrery
