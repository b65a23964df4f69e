// KV from prefill to decode engines: timelines by hand.
#include <gtest/gtest.h>

#include "network/topology_builders.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

// 1 ms a prompt token, 10 ms a decode step, pages of one token, 1 MB a token, 1 GB/s: 1 ms a token
// on the way.
struct Pair {
    LinearTimer timer{.prefill_ps = kMillisecond, .any_decode_ps = 10 * kMillisecond};
    ClusterSpec spec = one_engine(timer);
    Pair() {
        spec.pools[0].group.kv.page_tokens = 1;
        spec.pools.push_back(spec.pools[0]);
        spec.pools[0].role = EngineRole::prefill;
        spec.pools[0].group.decodes = false;
        spec.pools[1].role = EngineRole::decode;
        spec.pools[1].first_rank = 1;
        spec.handoff.bytes_per_token = 1e6;
        spec.handoff.layers = 4;
        spec.handoff.bandwidth = BytesPerSecond(1e9);
    }
    ServingResult run(std::vector<Request> requests) {
        return simulate_serving(spec, stream_of(std::move(requests)));
    }
};

double ms(Seconds time) { return time.value() * 1e3; }

// Prompt 0-100, its KV on the way 100-200, and 5 ms: decode 205-215-225.
TEST(Handoff, WholeAfterTheFirstToken) {
    Pair pair;
    pair.spec.handoff.latency = {5 * kMillisecond};
    const ServingResult result = pair.run({make_request(0, 100, 3)});
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), 100);
    EXPECT_DOUBLE_EQ(ms(result.handoff.mean()), 105);
    EXPECT_EQ(result.end.ps, 225 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(result.tpot.mean()), 62.5);
    EXPECT_DOUBLE_EQ(ms(result.itl.mean()), (115 + 10) / 2.0);
    // One token from the prompt: nothing to hand over.
    EXPECT_EQ(pair.run({make_request(0, 100, 1)}).handoff.count(), 0);
}

// Of 4 layers 3 leave from 25 ms on and take 75; the last one leaves at 100 and takes 25.
TEST(Handoff, LayerByLayer) {
    Pair pair;
    pair.spec.handoff.layer_wise = true;
    const ServingResult result = pair.run({make_request(0, 100, 3)});
    EXPECT_DOUBLE_EQ(ms(result.handoff.mean()), 25);
    EXPECT_EQ(result.end.ps, 145 * kMillisecond);
}

// Decode has room for one of the two (50 tokens, and 2 more: the last token is never cached): B
// keeps its memory in the prefill engine until A has ended.
//   prompts 0-100; A on the way 100-150, decode 150-160-170; B 170-220-230-240.
TEST(Handoff, WaitsForAPlace) {
    Pair pair;
    pair.spec.pools[1].group.kv.pages = 60;
    pair.spec.pools[1].group.policy.watermark = 0;
    const ServingResult result = pair.run({make_request(0, 50, 3), make_request(0, 50, 3)});
    EXPECT_DOUBLE_EQ(ms(result.handoff.mean()), (50 + 120) / 2.0);
    EXPECT_EQ(result.end.ps, 240 * kMillisecond);
    EXPECT_EQ(result.pools[1].kv_peak, 52.0 / 60);
}

// Two prefill engines at once into one decode engine: on a network they share its link, 200 ms for
// 100 MB each; on their own they take 100.
TEST(Handoff, SharesTheNetwork) {
    Pair pair;
    pair.spec.pools[0].engines = 2;
    pair.spec.pools[0].router.kind = RouterKind::round_robin;
    pair.spec.pools[1].first_rank = 2;
    const std::vector<Request> requests = {make_request(0, 100, 3), make_request(0, 100, 3)};
    EXPECT_DOUBLE_EQ(ms(pair.run(requests).handoff.mean()), 100);
    Topology topology;
    for (const char* name : {"a", "b", "c"}) topology.add_endpoint(name);
    const std::vector<std::uint32_t> endpoints = topology.endpoints;
    add_crossbar(topology, endpoints, {.bandwidth = BytesPerSecond(1e9)});
    RoutedNetwork network(topology);
    pair.spec.handoff.network = &network;
    EXPECT_NEAR(ms(pair.run(requests).handoff.mean()), 200, 0.1);
}

// The decode engine fails at 150 while A's KV is on its way (100-200) and is up again at 170: the
// source still has the KV and sends it again once the first message is out: 200-300, then decode.
TEST(Handoff, ADestinationThatFailsIsReplaced) {
    Pair pair;
    pair.spec.failures = {.given = {{1, 0, SimTime{150 * kMillisecond}}},
                          .repair = {20 * kMillisecond}};
    const ServingResult result = pair.run({make_request(0, 100, 3)});
    EXPECT_EQ(result.end.ps, 320 * kMillisecond);
    EXPECT_EQ(result.retries, 0);
    EXPECT_EQ(result.computed_prompt_tokens, 100);
}

// The prefill engine fails then: prompt and first token are computed again from 170 on, 101 tokens,
// and give the second token at 271; 101 on the way until 372, the third at 382.
TEST(Handoff, ASourceThatFailsComputesAgain) {
    Pair pair;
    pair.spec.failures = {.given = {{0, 0, SimTime{150 * kMillisecond}}},
                          .repair = {20 * kMillisecond}};
    const ServingResult result = pair.run({make_request(0, 100, 3)});
    EXPECT_EQ(result.retries, 1);
    EXPECT_EQ(result.computed_prompt_tokens, 201);
    EXPECT_EQ(result.end.ps, 382 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), 100);
}

}  // namespace
}  // namespace orrery
