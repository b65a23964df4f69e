// Questions about a topology as a graph, answered by Boost.Graph.

#include <algorithm>
#include <cmath>
#include <map>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/connected_components.hpp>
#include <fmt/format.h>

#include "core/error.hpp"
#include "network/topology.hpp"

namespace orrery {
namespace {

using Plain = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS>;

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using Edge = Traits::edge_descriptor;
using VertexProperties =
    boost::property<boost::vertex_color_t, boost::default_color_type,
                    boost::property<boost::vertex_distance_t, std::int64_t,
                                    boost::property<boost::vertex_predecessor_t, Edge>>>;
using EdgeProperties =
    boost::property<boost::edge_capacity_t, std::int64_t,
                    boost::property<boost::edge_residual_capacity_t, std::int64_t,
                                    boost::property<boost::edge_reverse_t, Edge>>>;
using FlowGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS,
                                        VertexProperties, EdgeProperties>;

// Both directions of a cable, each the other's reverse.
void add_both(FlowGraph& graph, std::size_t a, std::size_t b, std::int64_t there,
              std::int64_t back) {
    const auto forward = boost::add_edge(a, b, graph).first;
    const auto backward = boost::add_edge(b, a, graph).first;
    boost::put(boost::edge_capacity, graph, forward, there);
    boost::put(boost::edge_capacity, graph, backward, back);
    boost::put(boost::edge_reverse, graph, forward, backward);
    boost::put(boost::edge_reverse, graph, backward, forward);
}

}  // namespace

void check_connected(const Topology& topology) {
    Plain graph(topology.nodes.size());
    for (const TopologyLink& link : topology.links) {
        if (link.health > 0) boost::add_edge(link.a, link.b, graph);
    }
    std::vector<int> part(topology.nodes.size());
    boost::connected_components(graph, part.data());
    if (topology.endpoints.empty()) return;
    const std::uint32_t first = topology.endpoints.front();
    for (const std::uint32_t endpoint : topology.endpoints) {
        if (part[endpoint] == part[first]) continue;
        throw InputError(fmt::format("topology {}: {} and {} are disconnected", topology.name,
                                     topology.nodes[first].name, topology.nodes[endpoint].name));
    }
}

std::optional<BytesPerSecond> bisection(const Topology& topology) {
    const std::size_t source = topology.nodes.size(), sink = source + 1;
    constexpr double kUnit = 1e6;  // of capacity, B/s
    constexpr std::size_t kMostArcs = 150'000;
    // Which half a node's traffic is of: endpoints alone, and only with the source or sink.
    std::vector<std::size_t> half(topology.nodes.size(), source + 2);
    const std::size_t count = topology.endpoints.size() / 2;
    for (std::size_t i = 0; i < 2 * count; ++i) {
        half[topology.endpoints[i]] = i < count ? source : sink;
    }
    // Endpoints are one with the source or the sink; parallel cables are one arc.
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> arcs;
    for (const TopologyLink& link : topology.links) {
        const auto end = [&](std::uint32_t node) { return half[node] <= sink ? half[node] : node; };
        const std::size_t a = end(link.a), b = end(link.b);
        if (a == b) continue;
        arcs[std::minmax(a, b)] += std::llround(link.bandwidth.value() * link.health / kUnit);
    }
    if (count == 0 || arcs.size() > kMostArcs) return std::nullopt;
    FlowGraph graph(sink + 1);
    for (const auto& [ends, units] : arcs) add_both(graph, ends.first, ends.second, units, units);
    const std::int64_t flow = boost::boykov_kolmogorov_max_flow(graph, source, sink);
    return BytesPerSecond(static_cast<double>(flow) * kUnit);
}

std::int64_t switch_diameter(const Topology& topology, std::size_t samples) {
    Plain graph(topology.nodes.size());
    std::vector<std::uint32_t> switches;
    for (std::uint32_t i = 0; i < topology.nodes.size(); ++i) {
        if (topology.nodes[i].kind == NodeKind::fabric) switches.push_back(i);
    }
    for (const TopologyLink& link : topology.links) {
        if (link.health > 0 && link.link_class == LinkClass::fabric) {
            boost::add_edge(link.a, link.b, graph);
        }
    }
    std::int64_t longest = 0;
    const std::size_t step =
        std::max<std::size_t>(1, switches.size() / std::max<std::size_t>(1, samples));
    for (std::size_t i = 0; i < switches.size(); i += step) {
        std::vector<std::int64_t> distance(topology.nodes.size(), 0);
        boost::breadth_first_search(graph, switches[i],
                                    boost::visitor(boost::make_bfs_visitor(boost::record_distances(
                                        distance.data(), boost::on_tree_edge()))));
        longest = std::max(longest, *std::max_element(distance.begin(), distance.end()));
    }
    return longest;
}

}  // namespace orrery
