// Transfers that share links, on a few ranks with links of 1 GB/s.
#include "replay/shared_links.hpp"

#include <cmath>

#include "builders.hpp"

namespace orrery {
namespace {

using namespace test;

constexpr std::int64_t kMs = 1'000'000'000;  // ps

// Two pipeline ranks of `lanes`; rank r has link r. Its collective loads the links of all members,
// its message to pipeline rank 1 its own. Both take 1 ms alone.
class Links {
  public:
    explicit Links(std::uint32_t lanes) : input(make_input(2, lanes)) {
        const std::uint32_t ranks = 2 * lanes;
        SharedNetwork network;
        network.capacity.assign(ranks, 1e9);
        network.group_patterns.assign(1, LinkPattern(2));
        network.message_patterns.assign(2, LinkPattern(ranks));
        for (std::uint32_t r = 0; r < ranks; ++r) {
            network.group_patterns[0].add(r / lanes, r, 1.0);
            if (r < lanes) network.message_patterns[1].add(r, r, 1.0);
        }
        input.network = std::move(network);
        input.collectives.push_back(
            {kMs, Group::expert, 1, 2, "dispatch", {.pattern = 0, .bytes = 1e6}});
        input.messages.push_back({kMs, 1, 0, {.pattern = 1, .bytes = 1e6}});
        input.programs[1].slots = 1;
    }
    void move_collective(std::uint32_t pipeline_rank) {
        input.programs[pipeline_rank].stream(Stream::communication) = {collective(0)};
    }
    void move_message() {
        input.programs[0].stream(Stream::send) = {test::send(0, 0)};
        input.programs[1].stream(Stream::compute) = {receive(0)};
    }
    ReplayInput input;
};

double end_ms(const ReplayInput& input, std::uint32_t rank, bool folded = true) {
    ReplayOptions options;
    options.fold = folded;
    const ReplayResult result = replay(input, options);
    return static_cast<double>(result.of_rank(rank).end_ps) / kMs;
}

TEST(SharedLinks, AloneATransferTakesItsDuration) {
    Links links(2);
    links.input.collectives[0].shared.latency_ps = kMs / 4;  // of the 1 ms
    links.input.collectives[0].shared.bytes = 0.75e6;
    links.move_collective(0);
    EXPECT_NEAR(end_ms(links.input, 0), 1.0, 1e-6);
    Links message(2);
    message.move_message();
    EXPECT_NEAR(end_ms(message.input, 0), 1.0, 1e-6);
}

// 1 MB each over 1 GB/s, half for each: both end at 2 ms.
TEST(SharedLinks, CollectiveAndMessageShareARanksLink) {
    Links links(2);
    links.move_collective(0);
    links.move_message();
    EXPECT_NEAR(end_ms(links.input, 0), 2.0, 1e-6);
}

// Weight 3: the collective has 3/4 and ends at 4/3 ms; by then 1/3 MB of the message is through,
// the other 2/3 MB takes 2/3 ms more. The sum of both is 2 ms whatever the weights.
TEST(SharedLinks, WeightsDivideTheLink) {
    Links links(1);
    links.input.collectives[0].shared.weight = 3;
    links.move_collective(0);
    links.move_message();
    ReplayOptions options;
    options.trace.ranks = {0};
    const ReplayResult result = replay(links.input, options);
    ASSERT_EQ(result.traces.front().records.size(), 2U);
    const auto& first = result.traces.front().records[0];
    EXPECT_EQ(first.stream, Stream::communication);
    EXPECT_NEAR(static_cast<double>(first.end_ps) / kMs, 4.0 / 3, 1e-6);
    EXPECT_NEAR(end_ms(links.input, 0), 2.0, 1e-6);
}

// Where nobody else loads a link it is a cap: two bytes on it for each byte of the collective.
TEST(SharedLinks, ALinkOfItsOwnOnlyCaps) {
    Links links(1);
    links.input.network->capacity.push_back(1e9);
    links.input.network->group_patterns[0].add(1, 2, 2.0);
    links.move_collective(1);
    EXPECT_NEAR(end_ms(links.input, 1), 2.0, 1e-6);
}

// Four lanes in one group fold to one class; with half a link under lane 3 its group takes twice as
// long, and lane 3's message, too: it is a class of its own. The same unfolded.
TEST(SharedLinks, RanksFoldWhereTheirLinksDo) {
    for (const bool degraded : {false, true}) {
        Links links(4);
        links.move_collective(0);
        links.move_message();
        if (degraded) links.input.network->capacity[3] = 0.5e9;
        ReplayOptions options;
        const ReplayResult folded = replay(links.input, options);
        options.fold = false;
        const ReplayResult unfolded = replay(links.input, options);
        EXPECT_EQ(folded.classes.size(), degraded ? 4U : 2U);
        EXPECT_EQ(unfolded.classes.size(), 8U);
        EXPECT_EQ(folded.fingerprint, unfolded.fingerprint);
        EXPECT_EQ(folded.makespan_ps, unfolded.makespan_ps);
        EXPECT_NEAR(static_cast<double>(folded.of_rank(3).end_ps) / kMs, degraded ? 4.0 : 2.0,
                    1e-6);
    }
}

TEST(SharedLinks, SharesOfOneLinkAddUp) {
    LinkPattern pattern(1);
    pattern.add(0, 7, 0.25);
    pattern.add(0, 3, 1.0);
    pattern.add(0, 7, 0.5);
    ASSERT_EQ(pattern.of(0).size(), 2U);
    EXPECT_EQ(pattern.of(0)[1].link, 7U);
    EXPECT_EQ(pattern.of(0)[1].units, 3 << 22);  // 0.75 x 2^24
}

}  // namespace
}  // namespace orrery
