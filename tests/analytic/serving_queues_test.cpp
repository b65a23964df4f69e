// Queues with a closed form: an engine that takes one request at a time is a single server.
#include <cmath>

#include <gtest/gtest.h>

#include "../unit/serving/serving_fixture.hpp"

namespace orrery {
namespace {

// 1 ms a token: service takes as many ms as the prompt has tokens.
ServingResult single_server(double load, const LengthDistribution& prompt, double mean_tokens,
                            std::int64_t requests) {
    static LinearTimer timer{.prefill_ps = kMillisecond};
    ClusterSpec spec = one_engine(timer);
    spec.check = false;
    spec.pools[0].group.policy.max_sequences = 1;
    spec.pools[0].group.policy.token_budget = 1'000'000;
    return simulate_serving(
        spec,
        synthetic_stream({.arrivals = {ArrivalFamily::poisson, load / (mean_tokens * 1e-3), 1},
                          .prompt = prompt,
                          .output = fixed_length(1),
                          .requests = requests}));
}

// M/D/1: mean wait = rho D / (2 (1 - rho)). D = 100 ms:
//   rho 0.5: 50 ms;  rho 0.8: 200 ms.
TEST(SingleServer, FixedServiceWaitsAsMD1) {
    for (const auto& [load, wait] : {std::pair(0.5, 0.05), std::pair(0.8, 0.2)}) {
        const ServingResult result = single_server(load, fixed_length(100), 100, 400'000);
        EXPECT_NEAR(result.ttft.mean().value() - 0.1, wait, 0.03 * wait) << load;
        EXPECT_EQ(result.verdict == Verdict::overloaded, false);
    }
}

// M/G/1 (Pollaczek and Khinchine): mean wait = lambda E[S^2] / (2 (1 - rho)). S uniform on 1 ...
// 199 ms: mean 100, E[S^2] = 100^2 + (199^2 - 1) / 12 = 13,300 ms^2 (discrete uniform of 199
// values).
//   rho 0.6: 0.006 x 13,300 / 0.8 = 99.75 ms.
TEST(SingleServer, VaryingServiceWaitsAsMG1) {
    const LengthDistribution uniform{LengthFamily::uniform, 1, 199};
    const ServingResult result = single_server(0.6, uniform, 100, 400'000);
    EXPECT_NEAR(result.ttft.mean().value() - 0.1, 0.09975, 0.03 * 0.09975);
}

// L = lambda W holds exactly over a run that begins and ends empty: the time integral of requests
// in the system is the sum of their times in it. For queue and batch together, at any load.
TEST(LittlesLaw, HoldsExactly) {
    for (const double rate : {2.0, 10.0, 40.0}) {
        LinearTimer timer{.base_ps = 5 * kMillisecond,
                          .prefill_ps = kMillisecond / 50,
                          .decode_ps = kMillisecond / 10};
        ClusterSpec spec = one_engine(timer);
        spec.check = false;
        spec.pools[0].group.policy = find_policy("vllm_like")->policy;
        spec.pools[0].group.kv = {.pages = 2000, .page_tokens = 16};
        const ServingResult result = simulate_serving(
            spec, synthetic_stream({.arrivals = {ArrivalFamily::gamma, rate, 0.5},
                                    .prompt = {LengthFamily::lognormal, 1, 4000, 600, 0.8},
                                    .output = {LengthFamily::uniform, 1, 400},
                                    .requests = 3000}));
        ASSERT_EQ(result.finished, 3000);
        const double end = to_seconds(result.end).value();
        const double throughput = 3000 / end;
        EXPECT_NEAR(result.mean_in_system, throughput * result.e2e.mean().value(),
                    1e-9 * result.mean_in_system);
    }
}

// A server at 1.3 times its capacity says so, at half of it does not.
TEST(Verdict, FollowsTheLoad) {
    EXPECT_EQ(single_server(0.5, fixed_length(100), 100, 20'000).verdict, Verdict::stable);
    EXPECT_EQ(single_server(1.3, fixed_length(100), 100, 20'000).verdict, Verdict::overloaded);
    // At 0.95 the queue of an M/D/1 is 9 long on average: longer than what runs.
    EXPECT_EQ(single_server(0.95, fixed_length(100), 100, 200'000).verdict, Verdict::backlogged);
}

}  // namespace
}  // namespace orrery
