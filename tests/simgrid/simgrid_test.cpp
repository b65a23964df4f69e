// The flow network beside SimGrid on random platforms and flows: every flow ends at the same time,
// to 1e-6. Links have no latency: SimGrid's CM02 would weigh flows by the latency of their routes.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "../perf/child.hpp"
#include "../perf/simgrid_twin.hpp"
#include "core/random.hpp"
#include "network/routed_network.hpp"
#include "network/topology_builders.hpp"

namespace orrery::perf {
namespace {

class Draw {
  public:
    explicit Draw(std::uint64_t seed) : seed_(seed) {}
    std::uint32_t below(std::uint32_t n) {
        return static_cast<std::uint32_t>(counter_hash(seed_, 1, draw_++) % n);
    }
    double real(double from, double to) {
        return from + (to - from) * counter_uniform(seed_, 2, draw_++);
    }

  private:
    std::uint64_t seed_, draw_ = 0;
};

struct Case {
    std::vector<double> capacities;
    std::vector<TwinRoute> flows;
};

// 2 ... 30 links of 1 ... 50 GB/s, 2 ... 60 flows over one to five of them.
Case random_links(Draw& draw) {
    Case c;
    const std::uint32_t links = 2 + draw.below(29), flows = 2 + draw.below(59);
    for (std::uint32_t l = 0; l < links; ++l) c.capacities.push_back(1e9 * (1 + draw.below(50)));
    for (std::uint32_t f = 0; f < flows; ++f) {
        TwinRoute flow{.links = {}, .bytes = std::floor(draw.real(1e6, 5e7))};
        for (std::uint32_t h = 1 + draw.below(5); h > 0; --h) {
            const std::uint32_t l = draw.below(links);
            if (std::count(flow.links.begin(), flow.links.end(), l) == 0) flow.links.push_back(l);
        }
        c.flows.push_back(flow);
    }
    return c;
}

// Random pairs on a fat tree, a dragonfly or a crossbar, routed as messages are.
Case random_fabric(Draw& draw) {
    Topology topology{.name = "random", .nodes = {}, .links = {}, .endpoints = {}};
    const std::uint32_t kind = draw.below(3), hosts = kind == 1 ? 24 : 8 + 4 * draw.below(8);
    for (std::uint32_t i = 0; i < hosts; ++i) topology.add_endpoint(std::to_string(i));
    const auto all = topology.endpoints;
    const FabricCables cables;
    if (kind == 0) add_crossbar(topology, all, cables);
    if (kind == 1) add_dragonfly(topology, all, {.p = 2, .a = 4, .h = 1, .groups = 3}, cables);
    if (kind == 2) add_fat_tree(topology, all, {.ports = 12, .oversubscription = 2}, cables);
    RoutedNetwork network(std::move(topology));
    Case c;
    for (std::uint32_t l = 0; l < network.flows().links(); ++l) {
        c.capacities.push_back(network.flows().capacity({l}).value());
    }
    for (std::uint32_t f = 0; f < 2 * hosts; ++f) {
        const std::uint32_t from = draw.below(hosts),
                            to = (from + 1 + draw.below(hosts - 1)) % hosts;
        TwinRoute flow{.links = {}, .bytes = std::floor(draw.real(1e6, 5e7))};
        for (const RouteHop& hop : network.path(from, to, f).hops) {
            flow.links.push_back(hop.link.index);
        }
        c.flows.push_back(flow);
    }
    return c;
}

std::vector<double> ends(const Case& c) {
    FlowNetwork network;
    for (const double capacity : c.capacities) network.add_link(BytesPerSecond(capacity));
    for (std::size_t f = 0; f < c.flows.size(); ++f) {
        std::vector<RouteHop> route;
        for (const std::uint32_t l : c.flows[f].links) route.push_back({{l}, 1.0});
        network.start({.route = route, .bytes = Bytes(c.flows[f].bytes), .tag = f}, SimTime{});
    }
    std::vector<double> result(c.flows.size());
    while (const auto next = network.next_completion()) {
        for (const Completion& done : network.advance_to(*next)) {
            result[done.tag] = to_seconds(*next - SimTime{}).value();
        }
    }
    return result;
}

// The largest difference of a flow's end, in relation.
double difference(std::uint64_t seed) {
    Draw draw(seed);
    const Case c = seed % 2 == 0 ? random_links(draw) : random_fabric(draw);
    const std::vector<double> ours = ends(c);
    const std::vector<double> theirs = simgrid_ends(c.capacities, 0, c.flows);
    double most = 0;
    for (std::size_t f = 0; f < ours.size(); ++f) {
        most = std::max(most, std::abs(ours[f] / theirs[f] - 1));
    }
    return most;
}

TEST(SimGrid, EveryFlowEndsAtTheSameTime) {
    double most = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const double one = measure_in_child([&] { return difference(seed); }).result;
        EXPECT_LT(one, 1e-6) << "seed " << seed;
        most = std::max(most, one);
    }
    std::printf("60 random cases: ends differ by at most %.1e\n", most);
}

}  // namespace
}  // namespace orrery::perf
