// Steady loads worked out by hand.
#include "serving/steady_load.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "serving_fixture.hpp"

namespace orrery {
namespace {

// 50 prompt tokens, 101 of output: 100 steps over contexts of 50, 51, ... 149.
MeanRequest requests() {
    return {.fresh = 50,
            .fresh_pairs = 50 * 51 / 2,
            .output = 101,
            .steps = 100,
            .context = 99.5,
            .requests = 1};
}

}  // namespace

TEST(SteadyLoad, MeansOfTheWorkload) {
    LinearTimer timer;
    const ClusterSpec spec = one_engine(timer);
    const std::vector<Request> all = {make_request(0, 50, 101), make_request(9, 50, 101)};
    const MeanRequest mean = mean_request(spec, [&] { return stream_of(all); });
    EXPECT_EQ(mean.requests, 2);
    EXPECT_DOUBLE_EQ(mean.fresh, 50);
    EXPECT_DOUBLE_EQ(mean.fresh_pairs, 1275);
    EXPECT_DOUBLE_EQ(mean.steps, 100);
    EXPECT_DOUBLE_EQ(mean.context, 99.5);
}

// Ten sequences: 10 ms + 10 x 0.1 ms = 11 ms a step. A request takes 1.1 s, so 9.09 requests/s end,
// 100 / 1.1 = 90.9 tokens/s a user, 918 tokens/s. Their prompts take 9.09 x 50 x 1 ms = 0.4545 of a
// prompts' engine of 2 GPUs.
TEST(SteadyLoad, PromptsHaveTheirOwnPool) {
    LinearTimer decode{.base_ps = 10 * kMillisecond, .decode_ps = kMillisecond / 10};
    LinearTimer prefill{.prefill_ps = kMillisecond};
    ClusterSpec spec = one_engine(decode);
    spec.pools[0].role = EngineRole::decode;
    spec.pools[0].gpus_per_engine = 4;
    spec.pools.push_back(spec.pools[0]);
    spec.pools[1].role = EngineRole::prefill;
    spec.pools[1].gpus_per_engine = 2;
    spec.pools[1].timer = AnyTimer(prefill);
    const auto pools = steady_pools(spec);
    ASSERT_TRUE(pools && pools->prompts);
    const auto point = steady_load(spec, *pools, requests(), 10);
    ASSERT_TRUE(point);
    EXPECT_NEAR(point->step, 0.011, 1e-9);
    EXPECT_NEAR(point->user_rate, 1 / 0.011, 1e-6);
    EXPECT_NEAR(point->rate, 101 / 0.11, 1e-6);
    EXPECT_NEAR(point->prompt_gpus, 2 * 0.05 / 0.11, 1e-6);
    EXPECT_NEAR(point->gpus, 4 + 2 * 0.05 / 0.11, 1e-6);
}

// In one pool, prompts apart: in a step of 11 ms a tenth of a prompt comes, 5 tokens of 1 ms: 16
// ms. Together with decode only the base of 10 ms is paid once: the same tokens, no base of their
// own.
TEST(SteadyLoad, OnePoolDoesBoth) {
    LinearTimer timer{
        .base_ps = 10 * kMillisecond, .prefill_ps = kMillisecond, .decode_ps = kMillisecond / 10};
    ClusterSpec spec = one_engine(timer);
    // exp(-0.1): 9.516 % of the steps have prompts, of 52.5 tokens: 10 ms + 53 ms each (tokens are
    // whole ones).
    const double share = 1 - std::exp(-0.1);
    const auto apart = steady_load(spec, *steady_pools(spec), requests(), 10);
    ASSERT_TRUE(apart);
    EXPECT_NEAR(apart->step, 0.011 + share * (0.010 + 5e-3 / share), 1e-4);
    spec.pools[0].group.policy.mix = BatchMix::together;
    const auto together = steady_load(spec, *steady_pools(spec), requests(), 10);
    ASSERT_TRUE(together);
    EXPECT_NEAR(together->step, 0.011 + 5e-3, 1e-4);
    // A budget of 14 tokens leaves 4 beside ten that decode: too few for 5 a step.
    spec.pools[0].group.policy.first = BatchFirst::decode;
    spec.pools[0].group.policy.token_budget = 14;
    EXPECT_FALSE(steady_load(spec, *steady_pools(spec), requests(), 10));
}

// 1,600 tokens of KV in pages of 16: a sequence has 99.5 and half a page: 14 fit.
TEST(SteadyLoad, MemoryLimitsSequences) {
    LinearTimer timer;
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 100, .page_tokens = 16};
    EXPECT_EQ(most_sequences(spec.pools[0], requests()), 14);
    spec.pools[0].group.policy.max_sequences = 8;
    EXPECT_EQ(most_sequences(spec.pools[0], requests()), 8);
}

TEST(SteadyLoad, NeedsOnePoolForEachKindOfWork) {
    LinearTimer timer;
    ClusterSpec spec = one_engine(timer);
    spec.pools.push_back(spec.pools[0]);
    EXPECT_FALSE(steady_pools(spec));
}

}  // namespace orrery
