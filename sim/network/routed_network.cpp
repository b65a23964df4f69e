#include "network/routed_network.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <queue>

#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <fmt/format.h>

#include "core/error.hpp"
#include "core/random.hpp"

namespace orrery {
namespace {

constexpr std::uint16_t kUnreachable = 0xffff;
constexpr std::size_t kMostRemembered = std::size_t{1} << 26;  // distances, 128 MiB
constexpr std::uint64_t kCandidates = 16;  // paths that adaptive routing looks at

std::uint16_t cost_of(LinkClass link_class) {
    if (link_class == LinkClass::nic) return 100;
    return link_class == LinkClass::nvlink ? 1 : 2;
}

}  // namespace

struct RoutedNetwork::Graph {
    struct Cost {
        int cost;
    };
    using Type = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, Cost>;
    Type graph;
};

RoutedNetwork::~RoutedNetwork() = default;
RoutedNetwork::RoutedNetwork(RoutedNetwork&&) noexcept = default;

RoutedNetwork::RoutedNetwork(Topology topology, Routing routing)
    : topology_(std::move(topology)), routing_(routing) {
    if (topology_.endpoints.empty()) {
        throw InputError(fmt::format("topology {}: has no endpoints", topology_.name));
    }
    const std::size_t nodes = topology_.nodes.size();
    first_step_.assign(nodes + 1, 0);
    for (const TopologyLink& link : topology_.links) {
        if (link.health <= 0) continue;
        ++first_step_[link.a + 1];
        ++first_step_[link.b + 1];
    }
    for (std::size_t i = 0; i < nodes; ++i) first_step_[i + 1] += first_step_[i];
    steps_.resize(first_step_.back());
    std::vector<std::uint32_t> next(first_step_.begin(), first_step_.end() - 1);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> edges;
    std::vector<Graph::Cost> costs;
    for (std::uint32_t i = 0; i < topology_.links.size(); ++i) {
        const TopologyLink& link = topology_.links[i];
        if (link.health <= 0) continue;
        const std::uint16_t cost = cost_of(link.link_class);
        for (const auto& [from, to] : {std::pair(link.a, link.b), std::pair(link.b, link.a)}) {
            const LinkId id = flows_.add_link(link.bandwidth * link.health, LinkKind::shared,
                                              topology_.nodes[from].name);
            cables_.push_back(i);
            steps_[next[from]++] = {to, id.index, cost, to_sim_duration(link.latency).ps};
            edges.emplace_back(from, to);
            costs.push_back({cost});
        }
    }
    given_.assign(cables_.size(), 0);
    graph_ = std::make_unique<Graph>(Graph{Graph::Type(
        boost::edges_are_unsorted_multi_pass, edges.begin(), edges.end(), costs.begin(), nodes)});
}

const RoutedNetwork::Distances& RoutedNetwork::distances_to(std::uint32_t node) {
    const auto [at, is_new] = distances_.try_emplace(node);
    if (!is_new) return at->second;
    std::vector<int> distance(topology_.nodes.size());
    // Every cable goes both ways at the same cost, so distances from are distances to.
    boost::dijkstra_shortest_paths(
        graph_->graph, node,
        boost::weight_map(boost::get(&Graph::Cost::cost, graph_->graph))
            .distance_map(boost::make_iterator_property_map(
                distance.begin(), boost::get(boost::vertex_index, graph_->graph))));
    at->second.reserve(distance.size());
    for (const int d : distance) {
        at->second.push_back(static_cast<std::uint16_t>(std::min<int>(d, kUnreachable)));
    }
    remembered_ += distance.size();
    if (remembered_ > kMostRemembered && distances_.size() > 1) {
        Distances own = std::move(at->second);
        distances_.clear();
        remembered_ = own.size();
        return distances_[node] = std::move(own);
    }
    return at->second;
}

// From one node to another along shortest paths; appends to hops_ and latency_ps_.
void RoutedNetwork::walk(std::uint32_t from, std::uint32_t to, const Distances& distance,
                         std::uint64_t hash) {
    while (from != to) {
        const Step* const begin = steps_.data() + first_step_[from];
        const Step* const end = steps_.data() + first_step_[from + 1];
        const auto leads = [&](const Step& step) {
            return distance[step.to] + step.cost == distance[from];
        };
        const auto ways = static_cast<std::uint64_t>(std::count_if(begin, end, leads));
        std::uint64_t chosen = ways > 1 ? mix64(hash ^ mix64(from)) % ways : 0;
        const Step* step = begin;
        while (!leads(*step) || chosen-- > 0) ++step;
        hops_.push_back({{step->link}, 1.0});
        latency_ps_ += step->latency_ps;
        from = step->to;
    }
}

// Bytes given to the busiest link of hops_.
std::int64_t RoutedNetwork::busiest() const {
    std::int64_t most = 0;
    for (const RouteHop& hop : hops_) most = std::max(most, given_[hop.link.index]);
    return most;
}

RoutedNetwork::Target RoutedNetwork::target(std::uint32_t source, std::uint32_t destination) const {
    if (source >= ranks() || destination >= ranks() || source == destination) {
        throw InputError(fmt::format("message from rank {} to rank {}: must be two of {} ranks",
                                     source, destination, ranks()));
    }
    Target way{topology_.endpoints[source], topology_.endpoints[destination]};
    // An endpoint with one cable is as far from all as its switch, and that cable more: one table
    // of distances serves all endpoints of a switch.
    const std::uint32_t cables = first_step_[way.to + 1] - first_step_[way.to];
    if (cables == 0) fail_disconnected(source, destination);
    way.single = cables == 1;
    way.node = way.single ? steps_[first_step_[way.to]].to : way.to;
    return way;
}

void RoutedNetwork::fail_disconnected(std::uint32_t source, std::uint32_t destination) const {
    throw InputError(fmt::format("message from rank {} to rank {}: {} and {} are disconnected",
                                 source, destination,
                                 topology_.nodes[topology_.endpoints[source]].name,
                                 topology_.nodes[topology_.endpoints[destination]].name));
}

// Distances to the target of all nodes nearer to it than the source, and of the source: what lies
// on shortest paths. Between neighbours that is a few nodes of a large network.
void RoutedNetwork::find_near(const Target& target) {
    near_.resize(topology_.nodes.size(), kUnreachable);
    for (const std::uint32_t node : near_nodes_) near_[node] = kUnreachable;
    near_nodes_.assign(1, target.node);
    near_[target.node] = 0;
    using Entry = std::pair<std::uint16_t, std::uint32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open;
    open.push({0, target.node});
    while (!open.empty()) {
        const auto [distance, node] = open.top();
        open.pop();
        if (distance > near_[node]) continue;
        if (node == target.from) return;
        for (std::uint32_t i = first_step_[node]; i < first_step_[node + 1]; ++i) {
            const auto further = static_cast<std::uint16_t>(distance + steps_[i].cost);
            if (further >= near_[steps_[i].to]) continue;
            if (near_[steps_[i].to] == kUnreachable) near_nodes_.push_back(steps_[i].to);
            near_[steps_[i].to] = further;
            open.push({further, steps_[i].to});
        }
    }
}

void RoutedNetwork::last_cable(const Target& target) {
    if (!target.single) return;
    const Step& last = steps_[first_step_[target.to]];
    // The cable's other direction is its neighbour among the links.
    hops_.push_back({{last.link ^ 1u}, 1.0});
    latency_ps_ += last.latency_ps;
}

// Both ranks have one cable, to the same switch: there is one path. Sets hops_ and latency_ps_.
bool RoutedNetwork::is_one_switch_away(std::uint32_t source, std::uint32_t destination) {
    if (source >= ranks() || destination >= ranks() || source == destination) return false;
    const std::uint32_t from = topology_.endpoints[source], to = topology_.endpoints[destination];
    const std::uint32_t a = first_step_[from], b = first_step_[to];
    if (first_step_[from + 1] - a != 1 || first_step_[to + 1] - b != 1) return false;
    const Step &first = steps_[a], &last = steps_[b];
    if (first.to != last.to) return false;
    // The cable's other direction is its neighbour among the links.
    hops_.assign({{{first.link}, 1.0}, {{last.link ^ 1u}, 1.0}});
    latency_ps_ = first.latency_ps + last.latency_ps;
    return true;
}

RoutedNetwork::Path RoutedNetwork::path(std::uint32_t source, std::uint32_t destination,
                                        std::uint64_t hash) {
    if (is_one_switch_away(source, destination)) return {hops_, {latency_ps_}};
    const Target way = target(source, destination);
    const Distances& distance = distances_to(way.node);
    if (distance[way.from] == kUnreachable) fail_disconnected(source, destination);
    const std::uint64_t flow = counter_hash(hash, source, destination);
    const auto take = [&](std::uint64_t of) {
        hops_.clear();
        latency_ps_ = 0;
        walk(way.from, way.node, distance, of);
        last_cable(way);
    };
    take(flow);
    if (routing_ == Routing::adaptive) {
        std::int64_t least = busiest();
        best_hops_ = hops_;
        for (std::uint64_t i = 1; i < kCandidates && least > 0; ++i) {
            take(mix64(flow + i));
            if (busiest() >= least) continue;
            least = busiest();
            best_hops_ = hops_;
        }
        hops_ = best_hops_;
    }
    return {hops_, {latency_ps_}};
}

RoutedNetwork::Path RoutedNetwork::spread(std::uint32_t source, std::uint32_t destination) {
    const Target way = target(source, destination);
    find_near(way);
    const Distances& distance = near_;
    if (distance[way.from] == kUnreachable) fail_disconnected(source, destination);
    hops_.clear();
    latency_ps_ = 0;
    // Shares that wait at nodes, the farthest from the destination first; latency of the longest.
    struct Waiting {
        double share = 0;
        std::int64_t latency_ps = 0;
    };
    std::map<std::pair<int, std::uint32_t>, Waiting> waiting;
    waiting[{-distance[way.from], way.from}].share = 1;
    while (waiting.begin()->first.second != way.node) {
        const auto [key, here] = *waiting.begin();
        waiting.erase(waiting.begin());
        const std::uint32_t from = key.second;
        const Step* const begin = steps_.data() + first_step_[from];
        const Step* const end = steps_.data() + first_step_[from + 1];
        const auto leads = [&](const Step& step) {
            return distance[step.to] + step.cost == distance[from];
        };
        const double share = here.share / static_cast<double>(std::count_if(begin, end, leads));
        for (const Step* step = begin; step != end; ++step) {
            if (!leads(*step)) continue;
            hops_.push_back({{step->link}, share});
            Waiting& next = waiting[{-distance[step->to], step->to}];
            next.share += share;
            next.latency_ps = std::max(next.latency_ps, here.latency_ps + step->latency_ps);
        }
    }
    latency_ps_ = waiting.begin()->second.latency_ps;
    last_cable(way);
    return {hops_, {latency_ps_}};
}

FlowId RoutedNetwork::start(const Message& message, SimTime now) {
    const Path way = path(message.source, message.destination, message.hash);
    const FlowId flow = flows_.start({.route = way.hops,
                                      .bytes = message.bytes,
                                      .latency = way.latency + message.latency,
                                      .weight = message.weight,
                                      .cap = message.cap,
                                      .tag = message.tag},
                                     now);
    if (routing_ == Routing::fixed) return flow;
    auto& [bytes, links] = under_way_[flow.index];
    bytes = static_cast<std::int64_t>(message.bytes.value());
    links.clear();
    for (const RouteHop& hop : way.hops) {
        links.push_back(hop.link);
        given_[hop.link.index] += bytes;
    }
    return flow;
}

std::span<const Completion> RoutedNetwork::advance_to(SimTime now) {
    const auto completed = flows_.advance_to(now);
    if (routing_ == Routing::fixed) return completed;
    for (const Completion& done : completed) {
        const auto at = under_way_.find(done.flow.index);
        for (const LinkId link : at->second.second) given_[link.index] -= at->second.first;
        under_way_.erase(at);
    }
    return completed;
}

}  // namespace orrery
