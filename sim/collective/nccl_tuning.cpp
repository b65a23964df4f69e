#include "collective/nccl_tuning.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {
namespace {

constexpr double kMicro = 1e-6, kGiga = 1e9;
constexpr FlowProtocol kProtocols[] = {FlowProtocol::ll, FlowProtocol::ll128, FlowProtocol::simple};

bool has_none(const ClusterProfile& cluster) {
    return cluster.find_table("nccl_latency") == nullptr &&
           cluster.find_table("nccl_graph") == nullptr;
}

const DataTable& table_of(const ClusterProfile& cluster, const char* name) {
    const DataTable* table = cluster.find_table(name);
    if (table == nullptr) {
        throw InputError(
            fmt::format("cluster {}: tables.{}: must be there with the other nccl_* tables",
                        cluster.name, name));
    }
    return *table;
}

}  // namespace

FlowAlgorithm parse_algorithm(const std::string& text, const std::string& where) {
    for (const FlowAlgorithm algorithm :
         {FlowAlgorithm::ring, FlowAlgorithm::tree, FlowAlgorithm::nvls}) {
        if (text == to_string(algorithm)) return algorithm;
    }
    if (text == "Ring") return FlowAlgorithm::ring;  // as NCCL writes them
    if (text == "Tree") return FlowAlgorithm::tree;
    throw InputError(fmt::format("{} = \"{}\": must be ring, tree or nvls", where, text));
}

FlowProtocol parse_protocol(const std::string& text, const std::string& where) {
    for (const FlowProtocol protocol : kProtocols) {
        if (text == to_string(protocol)) return protocol;
    }
    throw InputError(fmt::format("{} = \"{}\": must be LL, LL128 or Simple", where, text));
}

std::optional<NcclTuning> NcclTuning::of(const ClusterProfile& cluster) {
    if (has_none(cluster)) return std::nullopt;
    NcclTuning tuning;
    tuning.read(cluster);
    return tuning;
}

void NcclTuning::read(const ClusterProfile& cluster) {
    cluster_ = cluster.name;
    const DataTable& latency = table_of(cluster, "nccl_latency");
    for (std::size_t i = 0; i < latency.rows(); ++i) {
        const auto us = [&](const char* column) {
            return latency.numbers[i][latency.column(column)] * kMicro;
        };
        const std::string where = fmt::format("{}: nccl_latency, row {}", latency.file, i);
        latencies_.push_back({parse_algorithm(latency.texts[i][latency.column("algorithm")], where),
                              parse_protocol(latency.texts[i][latency.column("protocol")], where),
                              {us("base_us"), us("nvlink_us"), us("net_us")}});
    }
    const DataTable& rate = table_of(cluster, "nccl_rate");
    for (const auto& row : rate.numbers) {
        const auto gb = [&](const char* column) { return row[rate.column(column)] * kGiga; };
        rates_.push_back({row[rate.column("nodes")], gb("ll_GBps"), gb("ring_ll128_GBps"),
                          gb("tree_GBps"), gb("tree_ll128_GBps"), gb("nvls_tree_GBps"),
                          row[rate.column("nvls_efficiency")]});
    }
    std::sort(rates_.begin(), rates_.end(),
              [](const Rates& a, const Rates& b) { return a.nodes < b.nodes; });
    const DataTable& graph = table_of(cluster, "nccl_graph");
    for (const auto& row : graph.numbers) {
        const auto of = [&](const char* column) { return row[graph.column(column)]; };
        graphs_.push_back({of("ranks_per_node"), of("channels"), of("ring_GBps") * kGiga,
                           of("tree_GBps") * kGiga, of("nvls_channels")});
    }
    const DataTable& tree = table_of(cluster, "nccl_tree");
    for (std::size_t i = 0; i < tree.rows(); ++i) {
        factors_.push_back({parse_protocol(tree.texts[i][tree.column("protocol")],
                                           fmt::format("{}: nccl_tree, row {}", tree.file, i)),
                            tree.numbers[i][tree.column("bytes")],
                            tree.numbers[i][tree.column("factor")]});
    }
}

NcclTuning::Latency NcclTuning::latency(FlowAlgorithm algorithm, FlowProtocol protocol) const {
    for (const LatencyRow& row : latencies_) {
        if (row.algorithm == algorithm && row.protocol == protocol) return row.latency;
    }
    throw InputError(fmt::format("cluster {}: nccl_latency has no row {} {}, must have one",
                                 cluster_, to_string(algorithm), to_string(protocol)));
}

NcclTuning::Case NcclTuning::of_case(FlowCollective kind, std::uint32_t ranks,
                                     std::uint32_t per_node, Bytes bytes) const {
    const double nodes = std::ceil(double{1} * ranks / per_node);
    const auto rates = std::find_if(rates_.rbegin(), rates_.rend(),
                                    [&](const Rates& r) { return r.nodes <= nodes; });
    // The graph of as many GPUs a node, else of the next fewer.
    const Graph* graph = nullptr;
    for (const Graph& g : graphs_) {
        if (g.ranks <= per_node && (graph == nullptr || g.ranks > graph->ranks)) graph = &g;
    }
    if (graph == nullptr || rates == rates_.rend()) {
        throw InputError(
            fmt::format("cluster {}: nccl_graph or nccl_rate: must have a row for {} "
                        "ranks a node on {} nodes",
                        cluster_, per_node, nodes));
    }
    return {kind, double{1} * ranks, nodes, bytes.value(), *rates, *graph};
}

std::vector<NcclEstimate> NcclTuning::estimates(FlowCollective kind, std::uint32_t ranks,
                                                std::uint32_t per_node, Bytes bytes) const {
    std::vector<NcclEstimate> result;
    if (kind == FlowCollective::send_recv || kind == FlowCollective::all_to_all) return result;
    const Case c = of_case(kind, ranks, per_node, bytes);
    const auto add = [&](FlowAlgorithm algorithm, FlowProtocol protocol) {
        result.push_back({algorithm, protocol, Seconds(seconds(c, algorithm, protocol))});
    };
    const bool reduces_all = kind == FlowCollective::all_reduce;
    for (const FlowProtocol protocol : kProtocols) {
        if (reduces_all) add(FlowAlgorithm::tree, protocol);
        add(FlowAlgorithm::ring, protocol);
    }
    if (c.graph.nvls_channels >= 2 && (reduces_all || c.nodes == 1)) {
        add(FlowAlgorithm::nvls, FlowProtocol::simple);
    }
    // Of equal times NCCL keeps the first it meets.
    std::stable_sort(result.begin(), result.end(),
                     [](const NcclEstimate& a, const NcclEstimate& b) { return a.time < b.time; });
    return result;
}

double NcclTuning::seconds(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const {
    double rate = bandwidth(c, algorithm, protocol);
    if (algorithm == FlowAlgorithm::tree) rate *= tree_factor(protocol, c.bytes);
    return delay(c, algorithm, protocol) + c.bytes / rate;
}

double NcclTuning::bandwidth(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const {
    const bool one_node = c.nodes == 1;
    const double channels = c.graph.channels;
    if (algorithm == FlowAlgorithm::tree) {
        double bus = std::min(c.graph.tree * 0.92, channels * c.rates.tree);
        if (protocol == FlowProtocol::ll) bus = std::min(bus / 3.8, c.rates.ll);
        if (protocol == FlowProtocol::ll128) {
            bus = std::min(bus * (one_node ? 7.0 / 9 : 120.0 / 128), channels * c.rates.tree_ll128);
        }
        return bus / 2;
    }
    const double steps = ring_steps(c.kind, static_cast<std::uint32_t>(c.ranks));
    if (algorithm == FlowAlgorithm::nvls) {
        const double ppn = c.ranks / c.nodes, own = c.graph.nvls_channels;
        double bus = c.graph.ring * c.rates.nvls_efficiency * (own - 1) / own;
        bus *= c.kind == FlowCollective::all_reduce ? 2 : (ppn - 1) / ppn;
        if (!one_node) bus = std::min(bus, std::min(c.graph.ring, own * c.rates.nvls_tree));
        return bus * c.ranks / steps;
    }
    double bus = c.graph.ring;
    if (protocol == FlowProtocol::ll) bus = std::min(c.rates.ll, bus / 2);
    if (protocol == FlowProtocol::ll128) {
        bus = std::min(bus * 0.92, channels * c.rates.ring_ll128);
    }
    return bus * c.ranks / steps;
}

double NcclTuning::delay(const Case& c, FlowAlgorithm algorithm, FlowProtocol protocol) const {
    const Latency lat = latency(algorithm, protocol);
    const double levels = std::floor(std::log2(c.nodes)), ppn = std::floor(c.ranks / c.nodes);
    if (algorithm == FlowAlgorithm::nvls) return lat.base + lat.nvlink + 2 * levels * lat.net;
    if (algorithm == FlowAlgorithm::tree) {
        return lat.base + 2 * ((ppn - 1) * lat.nvlink + levels * lat.net);
    }
    const double steps = ring_steps(c.kind, static_cast<std::uint32_t>(c.ranks));
    const double across = steps / (c.ranks - 1) * (c.nodes - 1);
    const double net = ppn == 1 ? latency(FlowAlgorithm::tree, protocol).net : lat.net;
    // A step over the network costs its processor 1 us, Simple's three times that.
    double overhead = 0;
    if (c.nodes > 1) overhead = protocol == FlowProtocol::simple ? 3e-6 : 1e-6;
    const double delay =
        lat.base + (steps - across) * std::max(lat.nvlink, overhead) + across * net;
    const bool plateau = protocol == FlowProtocol::simple && c.nodes > 1 &&
                         c.kind == FlowCollective::all_reduce &&
                         std::floor(c.bytes / (c.graph.channels * c.ranks)) >= 64;
    return plateau ? delay * 1.4 : delay;
}

double NcclTuning::tree_factor(FlowProtocol protocol, double bytes) const {
    const double power = std::exp2(std::floor(std::log2(bytes)));
    for (const Factor& f : factors_) {
        if (f.protocol == protocol && f.bytes == power) return f.factor;
    }
    return 1;
}

}  // namespace orrery
