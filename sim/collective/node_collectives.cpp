#include "collective/node_collectives.hpp"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

CommunicationKind parse_kind(const std::string& text, const std::string& where) {
    for (int i = 0; i <= static_cast<int>(CommunicationKind::send_recv); ++i) {
        const auto kind = static_cast<CommunicationKind>(i);
        if (text == to_string(kind)) return kind;
    }
    throw InputError(
        fmt::format("{} = \"{}\": must be a collective such as all_reduce", where, text));
}

double measured(const std::map<double, double>& times, double sent) {
    const auto above = times.lower_bound(sent);
    if (above == times.begin()) return above->second;
    const auto below = std::prev(above);
    if (above == times.end()) return below->second * sent / below->first;
    const double share = (sent - below->first) / (above->first - below->first);
    return below->second + share * (above->second - below->second);
}

}  // namespace

NodeCollectives::NodeCollectives(const ClusterProfile& cluster)
    : nvlink_(cluster.nvlink_bandwidth.value.value()),
      latency_(cluster.nvlink_latency.value.value()) {
    const DataTable* table = cluster.find_table("node_collectives");
    if (table == nullptr) return;
    origin_ = weakest(table->from.origin, cluster.nvlink_bandwidth.from.origin);
    const auto kind = table->column("kind"), ranks = table->column("ranks");
    const auto rate = table->column("nvlink_GBps"), bytes = table->column("bytes_sent");
    const auto time = table->column("time_us");
    for (std::size_t i = 0; i < table->rows(); ++i) {
        const auto& row = table->numbers[i];
        const std::string where = fmt::format("{}: rows[{}].kind", table->file, i);
        Curve& curve = curves_[parse_kind(table->texts[i][kind], where)][row[ranks]];
        curve.rate = row[rate] * 1e9;
        curve.times[row[bytes]] = row[time] * 1e-6;
    }
}

std::optional<double> NodeCollectives::time(CommunicationKind kind, std::int64_t ranks,
                                            double sent) const {
    const auto known = curves_.find(kind);
    if (known == curves_.end()) return std::nullopt;
    const auto asked = static_cast<double>(ranks);
    auto nearest = known->second.upper_bound(asked);  // then the next fewer, or the fewest measured
    if (nearest != known->second.begin()) --nearest;
    const auto& [from_ranks, curve] = *nearest;
    const double least = curve.times.begin()->second;
    const auto hops = [](double n) { return std::ceil(std::log2(n)); };
    return least + (measured(curve.times, sent) - least) * curve.rate / nvlink_ +
           (hops(asked) - hops(from_ranks)) * latency_;
}

}  // namespace orrery
