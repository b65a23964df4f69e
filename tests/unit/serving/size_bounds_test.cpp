// Bounds on sizes, worked out by hand; deadlines, windows and promises.
#include "serving/size_bounds.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serving/deadline.hpp"
#include "serving/latency_floor.hpp"
#include "serving/window_work.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

ServicePromise within(double ttft, double tpot, double attainment = 1) {
    ServicePromise promise;
    promise.objectives = {to_sim_duration(Seconds(ttft)), to_sim_duration(Seconds(tpot)), {}};
    promise.attainment = attainment;
    return promise;
}

std::function<RequestStream()> always(const std::vector<Request>& requests) {
    return [requests] { return stream_of(requests); };
}

}  // namespace

// 100 requests in objectives of 99.5 %: 99.5 must keep them, so 100 of 100, none may miss. 90
// %: 10. A percentile of 99: one may lie above, beside the ten that need not end.
TEST(Deadlines, CountWhoMayMiss) {
    EXPECT_EQ(deadlines(within(1, 0, 0.995), 100).front().misses, 0);
    EXPECT_EQ(deadlines(within(1, 0, 0.9), 100).front().misses, 10);
    ServicePromise promise;
    promise.attainment = 0.9;
    promise.targets = {{ServiceTime::ttft, 0.99, {kSecond}, "ttft_p99"}};
    EXPECT_EQ(deadlines(promise, 100).front().misses, 11);
}

// ttft 1 s and tpot 0.1 s: 11 tokens are out 2 s after arrival. Without tpot there is no end.
TEST(Deadlines, OfAWholeRequest) {
    EXPECT_DOUBLE_EQ(*deadlines(within(1, 0.1), 1).front().last(11), 2);
    EXPECT_FALSE(deadlines(within(1, 0), 1).front().last(11));
    EXPECT_DOUBLE_EQ(*deadlines(within(1, 0), 1).front().first(), 1);
    EXPECT_FALSE(deadlines(within(0, 1), 1).front().first());
}

// Ten pieces of 1 s in [0, 10], each due 2 s after its start: the whole is 10 s of work in 11 s;
// three more at 5 s make [5, 7] the tightest: 4 in 2 s (bins make it a little longer).
TEST(WindowWork, FindsTheBurst) {
    WindowWork work(0, 9, 11, 0);
    for (int i = 0; i < 10; ++i) work.add(i, i + 2, 1, 1);
    EXPECT_NEAR(work.tightest(0).rate(), 10 / 11.0, 0.02);
    for (int i = 0; i < 3; ++i) work.add(5, 7, 1, 1);
    EXPECT_GT(work.tightest(0).rate(), 1.7);
    EXPECT_LE(work.tightest(0).rate(), 2);
    EXPECT_NEAR(work.tightest(0.5).rate(), work.tightest(0).rate() / 2, 1e-12);
}

// The dearest two of 5 + 4 + 1 + 1 are left out: 2 s of work in 4 s.
TEST(WindowWork, LeavesOutTheDearest) {
    WindowWork work(0, 0, 4, 2);
    for (const double w : {1.0, 5.0, 1.0, 4.0}) work.add(0, 4, w, w);
    EXPECT_NEAR(work.tightest(0).rate(), 0.5, 1e-12);
}

// 1 ms a prompt token, and nothing else: 10 prompts of 1,000 tokens, one each second, take 10 s and
// must be through by 9 + 1 s: one engine, with 3 % left for the grid. Ten times as fast arrivals:
// 10 s of work in 1.9 s: 5.1 engines.
TEST(SizeBounds, PromptsNeedTheirTime) {
    LinearTimer timer{.prefill_ps = kMillisecond};
    const ClusterSpec spec = one_engine(timer);
    for (const auto& [distance, engines] : {std::pair(1000, 1), std::pair(100, 6)}) {
        std::vector<Request> requests;
        for (int i = 0; i < 10; ++i) requests.push_back(make_request(i * distance, 1000, 1));
        const SizeBounds bounds = bound_sizes(spec, within(1, 0), always(requests));
        EXPECT_EQ(bounds.impossible, "");
        ASSERT_EQ(bounds.bounds.size(), 1u);
        EXPECT_NEAR(bounds.bounds[0].busy_seconds, 0.97 * 10, 0.01);
        EXPECT_EQ(bounds.least[0], engines);
    }
}

// A decode iteration takes 10 ms whatever its batch of at most 4: 400 requests at once, 101 tokens
// each, within 1 s + 100 x 20 ms = 3 s: 40,000 steps / 4 x 10 ms = 100 s in 3 s: 33 engines, less
// 3 %. Twice the batch is half of that.
TEST(SizeBounds, DecodeNeedsItsBatches) {
    LinearTimer timer{.base_ps = 10 * kMillisecond};
    ClusterSpec spec = one_engine(timer);
    std::vector<Request> requests(400, make_request(0, 1, 101));
    for (const auto& [batch, engines] : {std::pair(4, 33), std::pair(8, 17)}) {
        spec.pools[0].group.policy.max_sequences = batch;
        const SizeBounds bounds = bound_sizes(spec, within(1, 0.02), always(requests));
        EXPECT_EQ(bounds.least[0], engines);
    }
}

// 1 ms a decoding sequence on top of 10 ms: at a TPOT of 20 ms a batch can hold 10, at best
// 10 / 20 ms = 500 steps/s; without that bound 64 / 74 ms = 865 steps/s. 400 requests of 101 tokens
// at once, e2e 10 s: 40,000 steps in 10 s: 4.5 engines; with the TPOT bound 7.8.
TEST(SizeBounds, TimePerTokenLimitsTheBatch) {
    LinearTimer timer{.base_ps = 10 * kMillisecond, .decode_ps = kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 64;
    std::vector<Request> requests(400, make_request(0, 1, 101));
    ServicePromise promise = within(0, 0);
    promise.objectives.e2e = {10 * kSecond};
    EXPECT_EQ(bound_sizes(spec, promise, always(requests)).least[0], 5);
    promise.objectives.tpot = {20 * kMillisecond};
    EXPECT_EQ(bound_sizes(spec, promise, always(requests)).least[0], 8);
}

// 10 ms an iteration whatever it holds: 400 prompts of 10 tokens at once, within 0.2 s, fit into
// one iteration of 8,192 tokens; where each iteration has two at most, into 200 of them: 2 s, 10
// engines.
TEST(SizeBounds, PromptsOfAnIterationAreLimited) {
    LinearTimer timer{.base_ps = 10 * kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1000;
    const std::vector<Request> requests(400, make_request(0, 10, 1));
    EXPECT_EQ(bound_sizes(spec, within(0.2, 0), always(requests)).least[0], 1);
    spec.pools[0].group.policy.max_prompts = 2;
    EXPECT_EQ(bound_sizes(spec, within(0.2, 0), always(requests)).least[0], 10);
}

// A KV cache of 1,000 tokens, 10 ms an iteration whatever it holds: requests of 100 + 101 tokens
// read 15,000 to 20,000 tokens of context over 100 steps, so 15 to 20 ms of the cache each
// (Little's law): 400 of them in 3 s need at least 400 x 15,050 / 1,000 x 10 ms / 3 s = 20 engines,
// less 3 %.
TEST(SizeBounds, KvMemoryLimitsTheBatch) {
    LinearTimer timer{.base_ps = 10 * kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 1000, .page_tokens = 1};
    std::vector<Request> requests(400, make_request(0, 100, 101));
    const SizeBounds bounds = bound_sizes(spec, within(1, 0.02), always(requests));
    EXPECT_GE(bounds.least[0], 19);
    EXPECT_LE(bounds.least[0], 27);  // prompts beside it
}

// Prompts of 1,000 tokens at 1 ms a token take 1 s alone: 500 ms are impossible if more than the
// share that may miss is like that.
TEST(SizeBounds, ImpossibleObjectives) {
    LinearTimer timer{.base_ps = kMillisecond, .prefill_ps = kMillisecond};
    const ClusterSpec spec = one_engine(timer);
    std::vector<Request> requests(98, make_request(0, 100, 2));
    requests.push_back(make_request(0, 1000, 2));
    requests.push_back(make_request(0, 1000, 2));
    EXPECT_THAT(bound_sizes(spec, within(0.5, 0, 0.99), always(requests)).impossible,
                HasSubstr("slo = 500.0 ms (time to first token): a prompt with 99"));
    EXPECT_EQ(bound_sizes(spec, within(0.5, 0, 0.98), always(requests)).impossible, "");
    EXPECT_THAT(bound_sizes(spec, within(0, 0.0005), always(requests)).impossible,
                HasSubstr("time per output token"));
}

// Time goes by the mean of four groups, 1 ms a token: a prompt of 100 takes 25 ms in an engine
// where nobody else has anything to do, a decode step 1 ms, and a replay of that request alone
// agrees.
TEST(SizeBounds, AFloorHasTheOtherGroupsIdle) {
    struct ByMean {
        SimDuration time(const EngineIteration& it) { return {kMillisecond * it.mean_tokens}; }
        SimDuration own_time(const Iteration& it, bool) { return {it.tokens()}; }
    } timer;
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].groups = 4;
    EXPECT_DOUBLE_EQ(prompt_alone(spec.pools[0], 100), 0.025);
    EXPECT_DOUBLE_EQ(token_alone(spec.pools[0], 100), 0.001);
    const ServingResult replayed = simulate_serving(spec, stream_of({make_request(0, 100, 2)}));
    EXPECT_EQ(replayed.end.ps, 26 * kMillisecond);
}

// A request of 300 tokens does not fit into 256: 2 of 4 never end.
TEST(SizeBounds, ThatDoNotFit) {
    LinearTimer timer{.base_ps = kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 16, .page_tokens = 16};
    std::vector<Request> requests(2, make_request(0, 100, 2));
    requests.resize(4, make_request(0, 290, 10));
    EXPECT_THAT(bound_sizes(spec, within(1, 1, 0.99), always(requests)).impossible,
                HasSubstr("2 of 4 requests do not fit"));
    EXPECT_EQ(bound_sizes(spec, within(1, 1, 0.5), always(requests)).impossible, "");
}

// Half of a prompt's blocks were named before: they need not be computed again.
TEST(OfferedWork, SharedBlocksOnce) {
    LinearTimer timer;
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv.block_tokens = 16;
    const std::vector<std::uint64_t> names = {1, 2, 3, 4}, others = {1, 2, 7};
    const auto open = [&] {
        std::vector<Request> requests = {make_request(0, 70, 3), make_request(1, 50, 3)};
        requests[0].blocks = names;
        requests[1].blocks = others;
        RequestStream stream = stream_of(requests);
        stream.block_tokens = 16;
        return stream;
    };
    std::vector<RequestWork> seen;
    for_each_request(spec, open, [&](const RequestWork& work) { seen.push_back(work); });
    EXPECT_EQ(seen[0].fresh, 70);  // 4 x 16 named here first, 6 behind them
    EXPECT_EQ(seen[0].least, 6);
    EXPECT_EQ(seen[1].fresh, 50 - 2 * 16);
    EXPECT_EQ(seen[1].most, 50);
    // Of 50, the last 18 attend to 32 before them and to themselves: 18 x 32 + 18 x 19 / 2.
    EXPECT_EQ(seen[1].fresh_pairs, 18 * 32 + 171);
    EXPECT_EQ(seen[1].steps, 2);
    EXPECT_EQ(seen[1].context, 2 * 50 + 1);
}

}  // namespace orrery
