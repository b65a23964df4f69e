// Questions about a topology as a graph, answered by Boost.Graph.

#include <algorithm>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/connected_components.hpp>
#include <fmt/format.h>

#include "core/error.hpp"
#include "network/topology.hpp"

// Boost's edge iterators hold an optional pair that g++ 12 cannot see through.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

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

BytesPerSecond bisection(const Topology& topology) {
    const std::size_t source = topology.nodes.size(), sink = source + 1;
    FlowGraph graph(sink + 1);
    constexpr double kUnit = 1e6;  // of capacity, B/s
    std::int64_t all = 1;
    for (const TopologyLink& link : topology.links) {
        const auto units = static_cast<std::int64_t>(link.bandwidth.value() * link.health / kUnit);
        add_both(graph, link.a, link.b, units, units);
        all += units;
    }
    const std::size_t half = topology.endpoints.size() / 2;
    for (std::size_t i = 0; i < 2 * half; ++i) {
        const std::uint32_t endpoint = topology.endpoints[i];
        if (i < half) {
            add_both(graph, source, endpoint, all, 0);
        } else {
            add_both(graph, endpoint, sink, all, 0);
        }
    }
    if (half == 0) return BytesPerSecond(0);
    return BytesPerSecond(
        static_cast<double>(boost::boykov_kolmogorov_max_flow(graph, source, sink)) * kUnit);
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
