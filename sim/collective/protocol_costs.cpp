#include "collective/protocol_costs.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "collective/nonnegative_fit.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

using Shape = ProtocolCosts::Shape;

constexpr double kChannels = 32, kLeastPart = 8192, kMostPart = 16 * 1048576.0;

bool is_p2p(FlowCollective kind) {
    return kind == FlowCollective::send_recv || kind == FlowCollective::all_to_all;
}

// Steps of the shape and how many of them lead to another node.
struct Steps {
    double all = 0, across = 0;
};
Steps steps_of(const Shape& s) {
    const double ppn = s.ranks / s.nodes;
    if (s.algorithm == FlowAlgorithm::tree) {
        const double across = 2 * std::floor(std::log2(s.nodes));
        return {2 * (ppn - 1) + across, across};
    }
    const double rounds = s.kind == FlowCollective::all_reduce ? 2 : 1;
    return {rounds * (s.ranks - 1), rounds * (s.nodes - 1)};
}

std::vector<double> features(const Shape& s) {
    if (is_p2p(s.kind)) {
        const bool one = s.kind == FlowCollective::send_recv;
        const double sent = one ? s.bytes : s.bytes * (s.ranks - 1) / s.ranks;
        return {1, s.bytes / p2p_channels(s.kind, s.ranks, s.bytes), sent};
    }
    const double chunk = s.bytes / s.ranks, steps = steps_of(s).all;
    if (s.algorithm == FlowAlgorithm::tree) {
        const double ppn = s.ranks / s.nodes;
        return {1, steps, s.bytes, s.bytes * std::max(0.0, ppn - 2) / ppn};
    }
    return {1, steps, steps * chunk, chunk};
}

double dot(const std::vector<double>& x, const std::vector<double>& f) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * f[i];
    return sum;
}

// The size that corrections are read by.
double place_of(const Shape& s) {
    return std::log2(is_p2p(s.kind) ? s.bytes / p2p_channels(s.kind, s.ranks, s.bytes)
                     : s.algorithm == FlowAlgorithm::tree ? s.bytes * s.nodes / s.ranks
                                                          : s.bytes / s.ranks);
}

// The third coefficient is kept at or above `floor`: what it takes then is no longer to be fitted.
std::vector<double> fit_above(std::vector<FitRow> rows, double floor) {
    std::vector<double> x = nonnegative_fit(rows);
    if (x[2] >= floor) return x;
    for (FitRow& row : rows) {
        row.value -= floor * row.features[2];
        row.features[2] = 0;
    }
    x = nonnegative_fit(rows);
    x[2] = floor;
    return x;
}

// Collectives that are asked for here; others were sorted out.
FlowCollective parse_kind(const std::string& text) {
    for (const FlowCollective kind : {FlowCollective::send_recv, FlowCollective::all_to_all,
                                      FlowCollective::all_gather, FlowCollective::reduce_scatter}) {
        if (text == to_string(kind)) return kind;
    }
    return FlowCollective::all_reduce;
}

}  // namespace

double payload_share(FlowProtocol protocol) {
    if (protocol == FlowProtocol::ll) return 0.5;
    return protocol == FlowProtocol::ll128 ? 120.0 / 128 : 1;
}

double p2p_channels(FlowCollective kind, double ranks, double bytes) {
    const double peers = kind == FlowCollective::send_recv ? 1 : ranks;
    const double message = std::ceil(bytes / peers), least = std::max(1.0, kChannels / ranks);
    double channels = least, part = std::max(kLeastPart, std::ceil(message / least));
    while (part > kMostPart && channels < kChannels) {
        channels *= 2;
        part = std::ceil(message / channels);
    }
    return std::min(kChannels, peers * std::ceil(message / part));
}

namespace {

ProtocolCosts::Row read_row(const DataTable& table, std::size_t i, const NcclTuning& tuning) {
    const auto number = [&](const char* column) { return table.numbers[i][table.column(column)]; };
    ProtocolCosts::Row row{{.kind = parse_kind(table.texts[i][table.column("kind")]),
                            .ranks = number("ranks"),
                            .bytes = number("bytes")},
                           number("time_us") * 1e-6};
    Shape& shape = row.shape;
    const std::string algorithm = table.text(i, "algorithm", "default");
    if (is_p2p(shape.kind)) {
        shape.algorithm = FlowAlgorithm::pairwise;
        shape.protocol = FlowProtocol::none;
    } else if (algorithm == "default") {
        const auto n = static_cast<std::uint32_t>(shape.ranks);
        const auto best = tuning.estimates(shape.kind, n, n, Bytes(shape.bytes)).front();
        shape.algorithm = best.algorithm;
        shape.protocol = best.protocol;
    } else {
        const std::string where = fmt::format("{}: row {}", table.file, i);
        shape.algorithm = parse_algorithm(algorithm, where);
        shape.protocol = parse_protocol(table.text(i, "protocol", ""), where);
    }
    return row;
}

}  // namespace

std::optional<ProtocolCosts> ProtocolCosts::of(const ClusterProfile& cluster,
                                               const NcclTuning& tuning) {
    const DataTable* rates = cluster.find_table("node_collectives");
    std::vector<Row> rows;
    Origin origin = cluster.nvlink_bandwidth.from.origin;
    for (const DataTable& table : cluster.tables) {
        if (table.name != "protocol_times") continue;
        origin = weakest(origin, table.from.origin);
        for (std::size_t i = 0; i < table.rows(); ++i) {
            const bool own = table.number(i, "ctas_set", 0) == 0;  // NCCL's number of channels
            if (own && table.text(i, "kind", "") != "broadcast") {
                rows.push_back(read_row(table, i, tuning));
            }
        }
    }
    if (rows.empty()) return std::nullopt;
    if (rates == nullptr) {
        throw InputError(
            fmt::format("cluster {}: tables.protocol_times: must come with node_collectives, which "
                        "names the link rate it was measured at",
                        cluster.name));
    }
    const double link = rates->numbers.front()[rates->column("nvlink_GBps")] * 1e9;
    ProtocolCosts costs(std::move(rows), tuning, link,
                        link / cluster.nvlink_bandwidth.value.value());
    costs.origin_ = origin;
    return costs;
}

ProtocolCosts::ProtocolCosts(std::vector<Row> rows, const NcclTuning& tuning, double link,
                             double scale)
    : rows_(std::move(rows)), link_(link), scale_(scale) {
    fit_all(tuning);
}

void ProtocolCosts::fit_all(const NcclTuning& tuning) {
    using Key = std::tuple<FlowAlgorithm, FlowProtocol, FlowCollective>;
    std::map<Key, std::vector<FitRow>> groups;
    const auto key_of = [](const Shape& s) {
        return Key{s.algorithm, s.protocol, is_p2p(s.kind) ? s.kind : FlowCollective::all_reduce};
    };
    for (const Row& row : rows_) {
        groups[key_of(row.shape)].push_back({features(row.shape), row.time, row.time});
    }
    for (auto& [key, group] : groups) {
        const auto [algorithm, protocol, kind] = key;
        const bool tree = algorithm == FlowAlgorithm::tree;
        const double floor = tree ? 0 : 1 / (link_ * payload_share(protocol));
        fits_.push_back({algorithm, protocol, kind, fit_above(group, floor)});
        if (protocol == FlowProtocol::none) continue;
        const NcclTuning::Latency own = tuning.latency(algorithm, protocol);
        net_step_[{algorithm, protocol}] = std::max(0.0, own.net - own.nvlink);
    }
    for (const Row& row : rows_) {
        const Shape& s = row.shape;
        corrections_[{s.kind, s.algorithm, s.protocol}][s.ranks][place_of(s)] =
            row.time / dot(find(s)->x, features(s));
    }
}

const ProtocolCosts::Fit* ProtocolCosts::find(const Shape& s) const {
    for (const Fit& fit : fits_) {
        if (fit.algorithm != s.algorithm) continue;
        if (is_p2p(s.kind) ? fit.kind == s.kind : fit.protocol == s.protocol) return &fit;
    }
    return nullptr;
}

double ProtocolCosts::correction(const Shape& s) const {
    const auto curves = corrections_.find({s.kind, s.algorithm, s.protocol});
    if (curves == corrections_.end()) return 1;
    auto nearest = curves->second.upper_bound(s.ranks / s.nodes);
    if (nearest != curves->second.begin()) --nearest;
    const Curve& curve = nearest->second;
    const double at = place_of(s);
    const auto above = curve.lower_bound(at);
    if (above == curve.begin()) return above->second;
    const auto below = std::prev(above);
    if (above == curve.end()) return below->second;
    const double share = (at - below->first) / (above->first - below->first);
    return below->second + share * (above->second - below->second);
}

std::optional<ProtocolPrice> ProtocolCosts::price(const Shape& s) const {
    const Fit* fit = find(s);
    if (fit == nullptr) return std::nullopt;
    const std::vector<double>&x = fit->x, f = features(s);
    const double measured = correction(s);  // over nodes, of bytes only
    const double scale = s.nodes > 1 ? scale_ * measured : scale_;
    ProtocolPrice price{.correction = s.nodes > 1 ? 1 : measured,
                        .payload = payload_share(s.protocol),
                        .origin = s.nodes > 1 ? weakest(origin_, Origin::derived) : origin_};
    if (is_p2p(s.kind)) {
        price.fixed = x[0];
        price.moving = (x[1] * f[1] + x[2] * f[2]) * scale;
        return price;
    }
    price.fixed = x[0] + x[1] * f[1];
    if (s.nodes > 1) price.fixed += steps_of(s).across * net_step_.at({s.algorithm, s.protocol});
    const bool tree = s.algorithm == FlowAlgorithm::tree;
    price.moving = (x[2] * f[2] + (tree ? x[3] * f[3] : 0)) * scale;
    price.local = tree ? 0 : x[3] * f[3] * scale;
    return price;
}

std::optional<Seconds> ProtocolCosts::time(const Shape& shape) const {
    const auto p = price(shape);
    if (!p) return std::nullopt;
    return Seconds((p->fixed + p->moving + p->local) * p->correction);
}

}  // namespace orrery
