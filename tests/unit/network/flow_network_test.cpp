#include "network/flow_network.hpp"

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000'000;  // ps

struct Ended {
    std::uint64_t tag;
    double seconds;
    bool operator==(const Ended&) const = default;
};

// Runs until nothing is under way; ties by tag.
std::vector<Ended> run(FlowNetwork& network) {
    std::vector<Ended> ended;
    while (const auto next = network.next_completion()) {
        const std::size_t first = ended.size();
        for (const Completion& done : network.advance_to(*next)) {
            ended.push_back({done.tag, to_seconds(*next).value()});
        }
        std::sort(ended.begin() + static_cast<std::ptrdiff_t>(first), ended.end(),
                  [](const Ended& a, const Ended& b) { return a.tag < b.tag; });
    }
    return ended;
}
std::vector<RouteHop> over(std::initializer_list<LinkId> links) {
    std::vector<RouteHop> route;
    for (const LinkId link : links) route.push_back({link, 1.0});
    return route;
}

using Order = std::vector<Ended>;

// 10 B and 30 B on 10 B/s: 5 each until 2 s, then 20 B more at 10: 4 s.
TEST(FlowNetwork, WhatIsLeftGoesFasterAlone) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(10))});
    network.start({.route = route, .bytes = Bytes(10), .tag = 1}, SimTime{});
    network.start({.route = route, .bytes = Bytes(30), .tag = 2}, SimTime{});
    EXPECT_EQ(run(network), (Order{{1, 2.0}, {2, 4.0}}));
}

// The second comes at 1 s with 1 s of latency: the first has 20 B through at 2 s, both 10 B more
// at 4 s, when the first ends; the second's other 10 B take 1 s.
TEST(FlowNetwork, LatencyComesBeforeSharing) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(10))});
    network.start({.route = route, .bytes = Bytes(30), .tag = 1}, SimTime{});
    EXPECT_TRUE(network.advance_to(SimTime{kSecond}).empty());
    network.start({.route = route, .bytes = Bytes(20), .latency = {kSecond}, .tag = 2},
                  SimTime{kSecond});
    EXPECT_EQ(run(network), (Order{{1, 4.0}, {2, 5.0}}));
}

// Flow 1 crosses both links, 2 and 3 one each. Until 2 ends all have 5 of 10. At 2 s flow 2 is
// gone, but link b still holds flow 1 to 5. At 3 s flow 3 ends and flow 1 has 25 B left at 10.
TEST(FlowNetwork, BottleneckMovesWhenFlowsEnd) {
    FlowNetwork network;
    const LinkId a = network.add_link(BytesPerSecond(10)), b = network.add_link(BytesPerSecond(10));
    const auto both = over({a, b}), first = over({a}), second = over({b});
    network.start({.route = both, .bytes = Bytes(40), .tag = 1}, SimTime{});
    network.start({.route = first, .bytes = Bytes(10), .tag = 2}, SimTime{});
    network.start({.route = second, .bytes = Bytes(15), .tag = 3}, SimTime{});
    EXPECT_EQ(run(network), (Order{{2, 2.0}, {3, 3.0}, {1, 5.5}}));
}

// Four flows of one route are one variable: 1, 2, 3 and 4 GB at 8 GB/s. 1 GB each until 0.5 s
// (2 GB/s), then 8/3 GB/s: +0.375, 4 GB/s: +0.25, 8 GB/s: +0.125.
TEST(FlowNetwork, EqualRoutesAreOneVariable) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(8e9))});
    for (std::uint64_t gb : {4, 3, 2, 1}) {
        const Bytes bytes(static_cast<double>(gb) * 1e9);
        network.start({.route = route, .bytes = bytes, .tag = gb}, SimTime{});
    }
    const auto ended = run(network);
    ASSERT_EQ(ended.size(), 4u);
    EXPECT_EQ(ended[0], (Ended{1, 0.5}));
    EXPECT_NEAR(ended[1].seconds, 0.875, 2e-12);
    EXPECT_NEAR(ended[2].seconds, 1.125, 2e-12);
    EXPECT_NEAR(ended[3].seconds, 1.25, 2e-12);
    EXPECT_EQ(network.counts().variables, 1);
    EXPECT_EQ(network.counts().flows, 4);
    EXPECT_EQ(network.counts().solves, 4);
}

// No bytes: only the latency.
TEST(FlowNetwork, EmptyFlowsTakeTheirLatency) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(8))});
    network.start({.route = route, .bytes = Bytes(0), .latency = {kSecond}, .tag = 1}, SimTime{});
    network.start({.route = route, .bytes = Bytes(0), .tag = 2}, SimTime{});
    EXPECT_EQ(run(network), (Order{{2, 0.0}, {1, 1.0}}));
    EXPECT_EQ(network.counts().solves, 0);
}

// 10 B/s shared, but the cap of 2 leaves 8: 8 B take 1 s, 4 B at 2 take 2 s.
TEST(FlowNetwork, CappedFlowsEndByTheirCap) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(10))});
    network.start({.route = route, .bytes = Bytes(4), .cap = BytesPerSecond(2), .tag = 1},
                  SimTime{});
    network.start({.route = route, .bytes = Bytes(8), .tag = 2}, SimTime{});
    EXPECT_EQ(run(network), (Order{{2, 1.0}, {1, 2.0}}));
}

// Links that share no flow are solved apart: only the one that changed.
TEST(FlowNetwork, OnlyTheTouchedComponentIsSolved) {
    FlowNetwork network;
    const auto one = over({network.add_link(BytesPerSecond(10))});
    const auto two = over({network.add_link(BytesPerSecond(10))});
    network.start({.route = one, .bytes = Bytes(100), .tag = 1}, SimTime{});
    network.next_completion();
    EXPECT_EQ(network.counts().solves, 1);
    network.start({.route = two, .bytes = Bytes(10), .tag = 2}, SimTime{});
    network.start({.route = two, .bytes = Bytes(10), .tag = 3}, SimTime{});
    network.next_completion();
    EXPECT_EQ(network.counts().solves, 2);
    EXPECT_EQ(run(network), (Order{{2, 2.0}, {3, 2.0}, {1, 10.0}}));
    EXPECT_EQ(network.counts().solves, 2);
}

// A pattern of 16 flows that comes back is filled twice and remembered from then on.
TEST(FlowNetwork, RepeatedPatternsAreRemembered) {
    FlowNetwork network;
    std::vector<LinkId> links;
    for (int i = 0; i < 8; ++i) links.push_back(network.add_link(BytesPerSecond(10 + i)));
    for (int round = 0; round < 5; ++round) {
        for (std::size_t i = 0; i < 16; ++i) {
            const auto route = over({links[i % 8], links[(3 * i + 1 + i / 8) % 8]});
            network.start({.route = route, .bytes = Bytes(1e3)}, network.now());
        }
        network.next_completion();
        while (const auto next = network.next_completion()) network.advance_to(*next);
    }
    const FlowCounts counts = network.counts();
    EXPECT_EQ(counts.completed, 80);
    EXPECT_EQ(counts.remembered, 3 * counts.solves / 2);
}

TEST(FlowNetwork, RateAndBytesLeft) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(10))});
    const FlowId first = network.start({.route = route, .bytes = Bytes(100)}, SimTime{});
    const FlowId second = network.start(
        {.route = route, .bytes = Bytes(40), .latency = {kSecond}, .weight = 4}, SimTime{});
    EXPECT_EQ(network.rate(first), BytesPerSecond(10));
    EXPECT_EQ(network.rate(second), BytesPerSecond(0));
    network.advance_to(SimTime{kSecond});
    EXPECT_EQ(network.rate(first), BytesPerSecond(2));
    EXPECT_EQ(network.rate(second), BytesPerSecond(8));
    network.advance_to(SimTime{2 * kSecond});
    EXPECT_EQ(network.left(first), Bytes(88));
    EXPECT_EQ(network.left(second), Bytes(32));
}

TEST(FlowNetwork, NothingMayBeSkipped) {
    FlowNetwork network;
    const auto route = over({network.add_link(BytesPerSecond(10))});
    network.start({.route = route, .bytes = Bytes(10)}, SimTime{});
    EXPECT_THROW(network.advance_to(SimTime{2 * kSecond}), std::logic_error);
    EXPECT_THROW(network.start({.route = route, .bytes = Bytes(1)}, SimTime{2 * kSecond}),
                 std::logic_error);
    network.advance_to(SimTime{kSecond / 2});
    EXPECT_THROW(network.advance_to(SimTime{0}), std::logic_error);
}

}  // namespace
}  // namespace orrery
