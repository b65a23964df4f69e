// Laws of the flow network on random cases: it agrees with the slow twin, every flow has a
// bottleneck, bytes are conserved, the order of ties and the way to a state leave no trace.

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "flow_twin.hpp"
#include "network/flow_network.hpp"

namespace orrery {
namespace {

// Draws that depend on the case's seed alone.
class Draw {
  public:
    explicit Draw(std::uint64_t seed) : seed_(seed) {}
    double real(double from, double to) {
        return from + (to - from) * counter_uniform(seed_, 1, draw_++);
    }
    std::size_t whole(std::size_t from, std::size_t to) {  // both included
        return from + counter_hash(seed_, 2, draw_++) % (to - from + 1);
    }
    bool chance(double p) { return real(0, 1) < p; }

  private:
    std::uint64_t seed_, draw_ = 0;
};

struct CaseFlow {
    std::vector<RouteHop> route;
    double bytes = 0;
    std::int64_t start_ps = 0, latency_ps = 0;
    std::uint32_t weight = 1;
    double cap = 0;  // 0: none
};
struct Case {
    std::vector<double> capacities;
    std::vector<bool> cap_only;
    std::vector<CaseFlow> flows;
};

// Capacities 1 ... 50 GB/s with repeats; up to 40 flows on up to 12 links, some with equal routes,
// starts and sizes, so that ties and aggregation happen.
Case random_case(std::uint64_t seed) {
    Draw draw(seed);
    Case c;
    const std::size_t links = draw.whole(1, 12);
    for (std::size_t l = 0; l < links; ++l) {
        c.capacities.push_back(1e9 * static_cast<double>(draw.whole(1, 50)));
        c.cap_only.push_back(draw.chance(0.1));
    }
    const std::size_t flows = draw.whole(1, 40);
    for (std::size_t f = 0; f < flows; ++f) {
        CaseFlow flow;
        if (f > 0 && draw.chance(0.3)) {
            flow = c.flows[draw.whole(0, f - 1)];
        } else {
            for (std::uint32_t l = 0; l < links; ++l) {
                const double use = draw.chance(0.2) ? draw.real(0.5, 3) : 1;
                if (draw.chance(3.0 / static_cast<double>(links))) {
                    flow.route.push_back({{l}, std::round(use * 1024) / 1024});
                }
            }
            if (flow.route.empty()) flow.route.push_back({{0}, 1.0});
            flow.weight = draw.chance(0.2) ? static_cast<std::uint32_t>(draw.whole(2, 5)) : 1;
            if (draw.chance(0.2)) flow.cap = draw.real(0.1e9, 5e9);
        }
        flow.bytes = draw.chance(0.5) ? 1e7 : std::floor(draw.real(1e6, 5e7));
        flow.start_ps = draw.chance(0.5) ? 0 : static_cast<std::int64_t>(draw.real(0, 2e10));
        flow.latency_ps =
            draw.chance(0.5) ? 1'000'000 : static_cast<std::int64_t>(draw.real(0, 5e6));
        c.flows.push_back(flow);
    }
    return c;
}

// More links than are solved apart, 17 ... 40, and 60 ... 150 flows that start together (some
// later): what is left is solved again and again as they end. Routes of two links as between hosts
// on a switch, or of up to five; every fourth case has caps.
Case large_case(std::uint64_t seed) {
    Draw draw(seed + 1'000'000);
    Case c;
    const std::size_t links = draw.whole(17, 40);
    for (std::size_t l = 0; l < links; ++l) {
        c.capacities.push_back(draw.chance(0.7) ? 50e9 : 1e9 * double(draw.whole(1, 50)));
        c.cap_only.push_back(false);
    }
    const bool pairs = seed % 2 == 0, has_caps = seed % 4 == 3;
    const std::size_t flows = draw.whole(60, 150);
    for (std::size_t f = 0; f < flows; ++f) {
        CaseFlow flow;
        const std::size_t hops = pairs ? 2 : draw.whole(1, 5);
        for (std::size_t h = 0; h < hops; ++h) {
            const auto l = static_cast<std::uint32_t>(draw.whole(0, links - 1));
            const bool twice =
                std::any_of(flow.route.begin(), flow.route.end(),
                            [&](const RouteHop& hop) { return hop.link.index == l; });
            if (!twice) flow.route.push_back({{l}, pairs || draw.chance(0.8) ? 1.0 : 0.5});
        }
        if (has_caps && draw.chance(0.2)) flow.cap = draw.real(0.1e9, 5e9);
        flow.weight = draw.chance(0.1) ? 2 : 1;
        flow.bytes = std::floor(draw.real(1e6, 5e7));
        flow.start_ps = draw.chance(0.8) ? 0 : static_cast<std::int64_t>(draw.real(0, 2e10));
        c.flows.push_back(flow);
    }
    return c;
}

// Plays a case; `watch` is called after every step. Flows of equal start are given in `order`.
template <class Watch>
std::vector<std::int64_t> play(const Case& c, std::vector<std::size_t> order, Watch watch) {
    FlowNetwork network;
    for (std::size_t l = 0; l < c.capacities.size(); ++l) {
        network.add_link(BytesPerSecond(c.capacities[l]),
                         c.cap_only[l] ? LinkKind::cap_only : LinkKind::shared);
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return c.flows[a].start_ps < c.flows[b].start_ps;
    });
    std::vector<std::int64_t> ends(c.flows.size(), -1);
    std::map<std::size_t, FlowId> running;
    for (std::size_t next = 0;;) {
        const auto due = network.next_completion();
        const bool start =
            next < order.size() && (!due || c.flows[order[next]].start_ps <= due->ps);
        if (!start && !due) return ends;
        const SimTime now{start ? c.flows[order[next]].start_ps : due->ps};
        for (const Completion& done : network.advance_to(now)) {
            ends[done.tag] = now.ps;
            running.erase(done.tag);
        }
        for (; next < order.size() && c.flows[order[next]].start_ps == now.ps; ++next) {
            const CaseFlow& f = c.flows[order[next]];
            Flow flow{.route = f.route,
                      .bytes = Bytes(f.bytes),
                      .latency = {f.latency_ps},
                      .weight = f.weight,
                      .tag = order[next]};
            if (f.cap > 0) flow.cap = BytesPerSecond(f.cap);
            running[order[next]] = network.start(flow, now);
        }
        watch(network, running);
    }
}
constexpr auto kNoWatch = [](FlowNetwork&, const std::map<std::size_t, FlowId>&) {};

std::vector<std::size_t> in_order(const Case& c) {
    std::vector<std::size_t> order(c.flows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    return order;
}

std::vector<TwinFlow> twin_flows(const Case& c) {
    std::vector<TwinFlow> twins;
    for (const CaseFlow& f : c.flows) {
        TwinFlow twin{.use = std::vector<double>(c.capacities.size(), 0.0),
                      .bytes = f.bytes,
                      .start = 1e-12 * static_cast<double>(f.start_ps),
                      .latency = 1e-12 * static_cast<double>(f.latency_ps),
                      .weight = static_cast<double>(f.weight)};
        if (f.cap > 0) twin.cap = f.cap;
        for (const RouteHop& hop : f.route) {
            const std::size_t l = hop.link.index;
            if (c.cap_only[l]) {
                twin.cap = std::min(twin.cap, c.capacities[l] / hop.coefficient);
            } else {
                twin.use[l] = hop.coefficient;
            }
        }
        twins.push_back(twin);
    }
    return twins;
}

TEST(FlowProperty, AgreesWithTheSlowTwin) {
    for (std::uint64_t seed = 0; seed < 320; ++seed) {
        const Case c = seed < 300 ? random_case(seed) : large_case(seed);
        const auto ends = play(c, in_order(c), kNoWatch);
        auto twins = twin_flows(c);
        twin_run(c.capacities, twins);
        for (std::size_t f = 0; f < ends.size(); ++f) {
            const double end = 1e-12 * static_cast<double>(ends[f]);
            ASSERT_NEAR(end, twins[f].end, 1e-6 * twins[f].end) << "seed " << seed << " flow " << f;
        }
    }
}

// Load of every link, by the rates of the flows that run.
std::vector<double> loads(const Case& c, FlowNetwork& network,
                          const std::map<std::size_t, FlowId>& running) {
    std::vector<double> load(c.capacities.size(), 0.0);
    for (const auto& [f, flow] : running) {
        for (const RouteHop& hop : c.flows[f].route) {
            load[hop.link.index] += hop.coefficient * network.rate(flow).value();
        }
    }
    return load;
}

// True where some limit on the flow's way is reached, and no flow there has more per weight.
bool has_bottleneck(const Case& c, FlowNetwork& network,
                    const std::map<std::size_t, FlowId>& running, std::size_t f,
                    const std::vector<double>& load) {
    const double level = network.rate(running.at(f)).value() / c.flows[f].weight;
    if (c.flows[f].cap > 0 && level * c.flows[f].weight >= c.flows[f].cap * (1 - 1e-6)) return true;
    for (const RouteHop& hop : c.flows[f].route) {
        const std::size_t l = hop.link.index;
        const double own = level * c.flows[f].weight * hop.coefficient;
        if (c.cap_only[l] && own >= c.capacities[l] * (1 - 1e-6)) return true;
        if (c.cap_only[l] || load[l] < c.capacities[l] * (1 - 1e-6)) continue;
        const bool largest = std::all_of(running.begin(), running.end(), [&](const auto& other) {
            const CaseFlow& o = c.flows[other.first];
            const bool here = std::any_of(o.route.begin(), o.route.end(),
                                          [&](const RouteHop& h) { return h.link.index == l; });
            return !here || network.rate(other.second).value() / o.weight <= level * (1 + 1e-6);
        });
        if (largest) return true;
    }
    return false;
}

TEST(FlowProperty, EveryFlowHasABottleneckAndNoLinkIsOverfull) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const Case c = random_case(seed);
        play(c, in_order(c), [&](FlowNetwork& network, const auto& running) {
            const std::vector<double> load = loads(c, network, running);
            for (std::size_t l = 0; l < load.size(); ++l) {
                if (c.cap_only[l]) continue;
                ASSERT_LE(load[l], c.capacities[l] * (1 + 1e-12)) << seed << " link " << l;
            }
            for (const auto& [f, flow] : running) {
                if (network.rate(flow).value() == 0) continue;  // its latency
                ASSERT_TRUE(has_bottleneck(c, network, running, f, load)) << seed << " " << f;
            }
        });
    }
}

TEST(FlowProperty, BytesAreConserved) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        const Case c = random_case(seed);
        std::map<std::size_t, double> through, rate;
        SimTime before{};
        play(c, in_order(c), [&](FlowNetwork& network, const auto& running) {
            const double dt = to_seconds(network.now() - before).value();
            for (const auto& [f, r] : rate) through[f] += r * dt;
            rate.clear();
            for (const auto& [f, flow] : running) rate[f] = network.rate(flow).value();
            before = network.now();
            for (const auto& [f, flow] : running) {
                const double left = c.flows[f].bytes - through[f];
                ASSERT_NEAR(network.left(flow).value(), left, 1.0 + 1e-9 * c.flows[f].bytes);
            }
        });
        for (std::size_t f = 0; f < c.flows.size(); ++f) {
            ASSERT_NEAR(through[f], c.flows[f].bytes, 1.0 + 1e-9 * c.flows[f].bytes);
        }
    }
}

TEST(FlowProperty, TheOrderOfTiesLeavesNoTrace) {
    for (std::uint64_t seed = 0; seed < 240; ++seed) {
        const Case c = seed < 200 ? random_case(seed) : large_case(seed);
        auto reversed = in_order(c);
        std::reverse(reversed.begin(), reversed.end());
        ASSERT_EQ(play(c, in_order(c), kNoWatch), play(c, reversed, kNoWatch)) << seed;
    }
}

// Rates after any history are those of a network where the same flows start afresh, to the last
// bit: what is not solved again did not need to be.
TEST(FlowProperty, SolvingAgainEqualsSolvingAnew) {
    for (std::uint64_t seed = 0; seed < 116; ++seed) {
        const Case c = seed < 100 ? random_case(seed) : large_case(seed);
        play(c, in_order(c), [&](FlowNetwork& network, const auto& running) {
            FlowNetwork fresh;
            for (std::size_t l = 0; l < c.capacities.size(); ++l) {
                fresh.add_link(BytesPerSecond(c.capacities[l]),
                               c.cap_only[l] ? LinkKind::cap_only : LinkKind::shared);
            }
            std::map<std::size_t, FlowId> again;
            for (const auto& [f, flow] : running) {
                if (network.rate(flow).value() == 0) continue;
                Flow copy{
                    .route = c.flows[f].route, .bytes = Bytes(1e6), .weight = c.flows[f].weight};
                if (c.flows[f].cap > 0) copy.cap = BytesPerSecond(c.flows[f].cap);
                again[f] = fresh.start(copy, SimTime{});
            }
            for (const auto& [f, flow] : again) {
                ASSERT_EQ(fresh.rate(flow), network.rate(running.at(f))) << seed << " " << f;
            }
        });
    }
}

}  // namespace
}  // namespace orrery
