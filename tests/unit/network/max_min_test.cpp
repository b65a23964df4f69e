#include "network/max_min.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network/flow_network.hpp"

namespace orrery {
namespace {

// One flow of a test: links, then weight and cap.
struct Share {
    std::vector<RouteHop> route;
    std::uint32_t weight = 1;
    double cap = 0;  // 0: none
};

// Rates of flows that all share from time 0 on.
std::vector<double> rates(const std::vector<double>& capacities, const std::vector<Share>& shares,
                          LinkKind kind = LinkKind::shared) {
    FlowNetwork network;
    for (const double capacity : capacities) network.add_link(BytesPerSecond(capacity), kind);
    std::vector<FlowId> flows;
    for (const Share& share : shares) {
        Flow flow{.route = share.route, .bytes = Bytes(1e3), .weight = share.weight};
        if (share.cap > 0) flow.cap = BytesPerSecond(share.cap);
        flows.push_back(network.start(flow, SimTime{}));
    }
    std::vector<double> result;
    for (const FlowId flow : flows) result.push_back(network.rate(flow).value());
    return result;
}
RouteHop on(std::uint32_t link, double coefficient = 1) { return {{link}, coefficient}; }

using Rates = std::vector<double>;

// Two flows halve one link of 10.
TEST(MaxMin, EqualFlowsShareEqually) {
    EXPECT_EQ(rates({10}, {{{on(0)}}, {{on(0)}}}), (Rates{5, 5}));
}

// The parking lot: the long flow gets half of the narrower link, 4/2; the flow on the wide link
// takes what is left, 10 - 2.
TEST(MaxMin, LongFlowIsHeldByItsNarrowestLink) {
    EXPECT_EQ(rates({4, 10}, {{{on(0), on(1)}}, {{on(0)}}, {{on(1)}}}), (Rates{2, 2, 8}));
}

// 12 in proportion 1 : 2 : 3.
TEST(MaxMin, WeightsShareInProportion) {
    EXPECT_EQ(rates({12}, {{{on(0)}, 1}, {{on(0)}, 2}, {{on(0)}, 3}}), (Rates{2, 4, 6}));
}

// The cap of 1 leaves 9 for two.
TEST(MaxMin, CapsLeaveTheRestToOthers) {
    EXPECT_EQ(rates({10}, {{{on(0)}, 1, 1}, {{on(0)}}, {{on(0)}}}), (Rates{1, 4.5, 4.5}));
}

// A cap-only link bounds each flow alone: both get all of 10.
TEST(MaxMin, CapOnlyLinksAreNotShared) {
    EXPECT_EQ(rates({10}, {{{on(0)}}, {{on(0)}}}, LinkKind::cap_only), (Rates{10, 10}));
}

// One flow loads the link with 2 per byte, the other with 1: 2 x + x = 12.
TEST(MaxMin, CoefficientsLoadALinkMore) {
    EXPECT_EQ(rates({12}, {{{on(0, 2)}}, {{on(0)}}}), (Rates{4, 4}));
}

// A ring all-reduce over three links as one variable, and a flow that crosses one of them: both
// get 5 of 10, the other links stay half empty.
TEST(MaxMin, OneVariableOverManyLinks) {
    EXPECT_EQ(rates({10, 10, 10}, {{{on(0), on(1), on(2)}}, {{on(1)}}}), (Rates{5, 5}));
}

// A link named twice counts twice.
TEST(MaxMin, RepeatedLinksAdd) { EXPECT_EQ(rates({10}, {{{on(0), on(0)}}}), (Rates{5})); }

// A million flows on 50 GB/s get 50 kB/s each: the resolution is far below.
TEST(MaxMin, ManyFlowsOnOneLinkKeepPrecision) {
    FlowNetwork network;
    const std::vector<RouteHop> route = {{network.add_link(BytesPerSecond(50e9)), 1.0}};
    FlowId last;
    for (int i = 0; i < 1'000'000; ++i) {
        last = network.start({.route = route, .bytes = Bytes(1e6)}, SimTime{});
    }
    EXPECT_NEAR(network.rate(last).value(), 50e3, 50e3 * 1e-6);
}

TEST(MaxMin, WhatCannotBeIsRefused) {
    FlowNetwork network;
    EXPECT_THROW(network.add_link(BytesPerSecond(0)), InputError);
    EXPECT_THROW(network.add_link(BytesPerSecond(1e16)), InputError);
    const RouteHop known = {network.add_link(BytesPerSecond(10)), 1.0};
    const RouteHop unknown = {{7}, 1.0}, weightless = {known.link, 0.0};
    const auto start = [&](std::span<const RouteHop> route, std::uint32_t weight, double bytes) {
        network.start({.route = route, .bytes = Bytes(bytes), .weight = weight}, SimTime{});
    };
    EXPECT_THROW(start({&unknown, 1}, 1, 1), InputError);
    EXPECT_THROW(start({&weightless, 1}, 1, 1), InputError);
    EXPECT_THROW(start({&known, 1}, 0, 1), InputError);
    EXPECT_THROW(start({&known, 1}, 1, -1), InputError);
    EXPECT_THROW(start({}, 1, 1), InputError);
    EXPECT_EQ(network.counts().flows, 0);
    EXPECT_FALSE(network.next_completion());
}

}  // namespace
}  // namespace orrery
