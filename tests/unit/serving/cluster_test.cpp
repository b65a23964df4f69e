// Small timelines worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "serving/cluster_spec.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;

double ms(Seconds time) { return time.value() * 1e3; }
// 1 ms a prompt token, 10 ms a decode step.
LinearTimer simple_timer() {
    return {.prefill_ps = kMillisecond, .any_decode_ps = 10 * kMillisecond};
}
constexpr double kError = DurationSketch::kRelativeError;

// A (100 in, 3 out) comes at 0, B (50 in, 2 out) at 105 ms.
//   0-100    A's prompt; its first token at 100
//   100-110  A's second
//   110-160  B's prompt, before decode; its first token at 160
//   160-170  A's third and last, B's second and last
TEST(Cluster, PromptsBeforeDecode) {
    LinearTimer timer = simple_timer();
    const ServingResult result = simulate_serving(
        one_engine(timer), stream_of({make_request(0, 100, 3), make_request(105, 50, 2)}));
    EXPECT_EQ(result.finished, 2);
    EXPECT_EQ(result.end.ps, 170 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), (100 + 55) / 2.0);
    EXPECT_DOUBLE_EQ(ms(result.e2e.mean()), (170 + 65) / 2.0);
    EXPECT_DOUBLE_EQ(ms(result.tpot.mean()), (35 + 10) / 2.0);
    // Gaps between tokens: A 10 and 60, B 10.
    EXPECT_EQ(result.itl.count(), 3);
    EXPECT_DOUBLE_EQ(ms(result.itl.mean()), 80 / 3.0);
    EXPECT_EQ(result.iterations, 4);
    EXPECT_EQ(result.output_tokens, 5);
    EXPECT_EQ(result.computed_prompt_tokens, 150);
    // One waits from 105 to 110; two are there from 105 on.
    EXPECT_NEAR(result.mean_waiting, 5.0 / 170, 1e-9);
    EXPECT_NEAR(result.mean_in_system, (170.0 + 65) / 170, 1e-9);
    EXPECT_EQ(result.verdict, Verdict::stable);
}

// The same with prompts beside decode:
//   100-110 A's second; 110-170 B's prompt beside A's third; 170-180 B's second.
TEST(Cluster, PromptsBesideDecode) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.mix = BatchMix::together;
    spec.pools[0].group.policy.first = BatchFirst::decode;
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 100, 3), make_request(105, 50, 2)}));
    EXPECT_EQ(result.end.ps, 180 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(result.e2e.mean()), (170 + 75) / 2.0);
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), (100 + 65) / 2.0);
}

// A budget of 40 tokens and chunks of up to 40; A's decode takes one token of the budget.
//   A: prompt of 100 in 40, 40, 20; B (60 in, 2 out), there from the start, gets the other 20 of
//   the third iteration, then 39, then its last one.
// prefill_pairs of a chunk of t after c: t c + t (t + 1) / 2.
TEST(Cluster, ChunksFillTheBudget) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    BatchPolicy& policy = spec.pools[0].group.policy;
    policy.mix = BatchMix::together;
    policy.first = BatchFirst::decode;
    policy.token_budget = policy.chunk_tokens = 40;
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 100, 4), make_request(0, 60, 2)}));
    ASSERT_GE(timer.asked.size(), 6U);
    const auto prompt = [](std::int64_t tokens, std::int64_t sequences, std::int64_t pairs,
                           std::int64_t context) {
        return Iteration{tokens, sequences, pairs, context};
    };
    EXPECT_EQ(timer.asked[0], prompt(40, 1, 820, 0));
    EXPECT_EQ(timer.asked[1], prompt(40, 1, 1600 + 820, 40));
    EXPECT_EQ(timer.asked[2], prompt(40, 2, 1600 + 210 + 210, 80));
    // A decodes over 101 tokens of context; B's 39 come after 20.
    EXPECT_EQ(timer.asked[3], (Iteration{39, 1, 780 + 780, 20, 1, 1, 101}));
    EXPECT_EQ(timer.asked[4], (Iteration{1, 1, 60, 59, 1, 1, 102}));
    EXPECT_EQ(timer.asked[5], (Iteration{0, 0, 0, 0, 2, 2, 103 + 61}));
    EXPECT_EQ(timer.asked.size(), 6U);
    EXPECT_EQ(result.end.ps, 6 * kMillisecond);
}

// Decode first, apart: with an interval of 2 steps B's prompt waits for A's second decode step.
TEST(Cluster, DecodeFirstLetsPromptsInNowAndThen) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.first = BatchFirst::decode;
    spec.pools[0].group.policy.prefill_interval = 2;
    simulate_serving(spec, stream_of({make_request(0, 10, 6), make_request(1, 10, 1)}));
    std::vector<std::int64_t> prompts;
    for (const Iteration& it : timer.asked) prompts.push_back(it.prefill_tokens);
    EXPECT_THAT(prompts, ElementsAre(10, 0, 0, 10, 0, 0, 0));
}

// Nobody joins a static batch of two before both have ended.
TEST(Cluster, StaticBatch) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.static_batch = true;
    spec.pools[0].group.policy.max_sequences = 2;
    simulate_serving(
        spec, stream_of({make_request(0, 10, 2), make_request(0, 10, 4), make_request(0, 10, 1)}));
    std::vector<std::int64_t> prompts;
    for (const Iteration& it : timer.asked) prompts.push_back(it.prefill_sequences);
    EXPECT_THAT(prompts, ElementsAre(2, 0, 0, 0, 1));
}

// CPU work of 3 ms: after each iteration, or hidden where the iteration is longer.
TEST(Cluster, CpuTimeBetweenIterations) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.cpu_time.value = Seconds(3e-3);
    const auto end = [&] {
        return simulate_serving(spec, stream_of({make_request(0, 1, 3)})).end.ps / kMillisecond;
    };
    EXPECT_EQ(end(), 1 + 3 + 13 + 13);
    spec.pools[0].group.policy.cpu_overlapped = true;
    EXPECT_EQ(end(), 3 + 10 + 10);
}

// 4 pages of 4 tokens. A: 6 in, 6 out, B the same, both admitted with 2 pages each. After their
// first token they hold 6 tokens of room 8; each step adds one: contexts 7, 8, 9: before the third
// step A needs a page and there is none, so B, the last admitted, goes (3 tokens out) and A takes
// one of its pages. A ends after its 5 steps; then B's 6 + 3 tokens are computed again.
TEST(Cluster, TheLastAdmittedMakesRoom) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 4, .page_tokens = 4};
    spec.pools[0].group.policy.watermark = 0;
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 6, 6), make_request(0, 6, 6)}));
    std::vector<std::pair<std::int64_t, std::int64_t>> asked;  // prompt tokens, decoding
    for (const Iteration& it : timer.asked)
        asked.emplace_back(it.prefill_tokens, it.decode_sequences);
    using P = std::pair<std::int64_t, std::int64_t>;
    EXPECT_THAT(asked, ElementsAre(P(12, 0), P(0, 2), P(0, 2), P(0, 1), P(0, 1), P(0, 1), P(9, 0),
                                   P(0, 1), P(0, 1)));
    EXPECT_EQ(result.preemptions, 1);
    EXPECT_EQ(result.finished, 2);
    EXPECT_EQ(result.output_tokens, 12);
    EXPECT_EQ(result.computed_prompt_tokens, 21);
    // B's tokens: 1, 2, 3, then 7 (recomputed), 8, 9: its gap across the preemption is 4 ms.
    EXPECT_EQ(result.itl.count(), 10);
    EXPECT_NEAR(ms(result.itl.percentile(1)), 4, 4 * kError);
}

// With swapping B comes back without computing: 8 tokens at 2 ms each from the host (the last one
// is not kept), from 6 to 22 ms, then three steps.
TEST(Cluster, SwappedSequencesAreLoadedBack) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 4, .page_tokens = 4};
    spec.pools[0].group.kv.host = {.tokens = 100, .load_per_token = {2 * kMillisecond}};
    spec.pools[0].group.policy.watermark = 0;
    spec.pools[0].group.policy.preemption = Preemption::swap;
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 6, 6), make_request(0, 6, 6)}));
    EXPECT_EQ(result.swaps, 1);
    EXPECT_EQ(result.computed_prompt_tokens, 12);
    EXPECT_EQ(result.finished, 2);
    EXPECT_EQ(result.end.ps, (6 + 16 + 3) * kMillisecond);
}

// Writing them takes 1 ms each: A's third step waits for B's pages from 3 to 11 ms, A ends at 14, B
// is read until 30 and does its three steps.
TEST(Cluster, SwappingOutIsPaidFor) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 4, .page_tokens = 4};
    spec.pools[0].group.kv.host = {
        .tokens = 100, .load_per_token = {2 * kMillisecond}, .write_per_token = {kMillisecond}};
    spec.pools[0].group.policy.watermark = 0;
    spec.pools[0].group.policy.preemption = Preemption::swap;
    const auto run = [&] {
        return simulate_serving(spec, stream_of({make_request(0, 6, 6), make_request(0, 6, 6)}));
    };
    const ServingResult result = run();
    EXPECT_EQ(result.end.ps, (14 + 16 + 3) * kMillisecond);
    EXPECT_EQ(result.moves.swapped, 16);
    // 8 tokens are two pages. With room for one, B is computed again as if there were no host:
    // the timeline of TheLastAdmittedMakesRoom.
    spec.pools[0].group.kv.host.tokens = 8;
    EXPECT_EQ(run().swaps, 1);
    spec.pools[0].group.kv.host.tokens = 7;
    const ServingResult full = run();
    EXPECT_EQ(full.swaps, 0);
    EXPECT_EQ(full.swaps_refused, 1);
    EXPECT_EQ(full.computed_prompt_tokens, 21);
    EXPECT_EQ(full.end.ps, 9 * kMillisecond);
}

// Two pages of A's block are idle when B, its block in the other two, has its first token at 11 ms
// and needs a page: 8 tokens are written to the host at 1 ms each before B's step, 11-19, runs.
TEST(Cluster, AStepWaitsForThePagesItTakes) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 4, .page_tokens = 4, .block_tokens = 8};
    spec.pools[0].group.kv.host = {.tokens = 100, .write_per_token = {kMillisecond}};
    static const std::vector<std::uint64_t> first = {1}, second = {2};
    std::vector<Request> requests = {make_request(0, 8, 1), make_request(10, 8, 3)};
    requests[0].blocks = first;
    requests[1].blocks = second;
    const auto run = [&] {
        RequestStream again = stream_of(requests);
        again.block_tokens = 8;
        return simulate_serving(spec, again);
    };
    EXPECT_EQ(run().end.ps, 21 * kMillisecond);
    EXPECT_EQ(run().moves.written, 8);
    // Written as soon as it was computed, 1-9: nothing to wait for.
    spec.pools[0].group.kv.write_through = true;
    EXPECT_EQ(run().end.ps, 13 * kMillisecond);
    EXPECT_EQ(run().moves.written, 16);
}

// 100 tokens of memory: 90 + 20 do not fit, whatever runs.
TEST(Cluster, RequestsThatNeverFitAreTurnedAway) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 100, .page_tokens = 1};
    const ServingResult result = simulate_serving(
        spec,
        stream_of({make_request(0, 90, 20), make_request(0, 101, 1), make_request(0, 50, 2)}));
    EXPECT_EQ(result.rejected_too_long, 2);
    EXPECT_EQ(result.finished, 1);
    EXPECT_EQ(result.arrived, 3);
}

// Two draft tokens, both always accepted: 3 tokens a step. 10 tokens: 1 from the prompt, 9 in 3
// steps, each verifying 3 query tokens; contexts 101, 104, 107.
TEST(Cluster, DraftsShortenDecode) {
    TableTimer timer{[](const Iteration&) { return 1; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.speculation.acceptance = {1, 1};
    const ServingResult result = simulate_serving(spec, stream_of({make_request(0, 100, 10)}));
    EXPECT_EQ(result.end.ps, 4 * kMillisecond);
    ASSERT_EQ(timer.asked.size(), 4U);
    EXPECT_EQ(timer.asked[1], (Iteration{0, 0, 0, 0, 1, 3, 101}));
    EXPECT_EQ(timer.asked[3], (Iteration{0, 0, 0, 0, 1, 3, 107}));
    EXPECT_EQ(result.output_tokens, 10);
}

// At 80 % for one draft, 1.8 tokens a step: 20,000 tokens in about 11,111 steps.
TEST(Cluster, StepsFollowTheAcceptance) {
    const Speculation mtp{.acceptance = {0.8}};
    EXPECT_DOUBLE_EQ(tokens_per_step(mtp), 1.8);
    EXPECT_NEAR(static_cast<double>(draw_steps(mtp, 3, 0, 20'000)), 20'000 / 1.8, 60);
    EXPECT_DOUBLE_EQ(tokens_per_step({.acceptance = {0.8, 0.5}}), 2.2);
    EXPECT_EQ(draw_steps({}, 3, 0, 17), 17);
}

// Two groups step together: the longer one decides. Requests spread by tokens: 30 to group 0, 10
// and 15 to group 1.
TEST(Cluster, GroupsStepTogether) {
    TableTimer timer{[](const Iteration& it) { return it.prefill_tokens; }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].groups = 2;
    spec.pools[0].group.kv.page_tokens = 1;
    const ServingResult result = simulate_serving(
        spec, stream_of({make_request(0, 30, 1), make_request(0, 10, 1), make_request(0, 15, 1)}));
    EXPECT_EQ(result.end.ps, 30 * kMillisecond);
    ASSERT_EQ(timer.engines.size(), 1U);
    const EngineIteration& asked = timer.engines[0];
    EXPECT_EQ(asked.slowest.prefill_tokens, 30);
    EXPECT_EQ(asked.mean_tokens, 28);  // 27.5
    EXPECT_EQ(asked.fullest_tokens, 30);
    EXPECT_TRUE(asked.prompts);
}

// Three groups. Group 0 takes A (40 in, 2 out): 40 ms, alone in the mean of three. At 40 A decodes
// while B and C, which came at 20, bring prompts of 12 and 15 to groups 1 and 2: 100 ms for A's one
// token, the slowest, beside the fullest with 15; the engine has (1 + 12 + 15) / 3 = 9.3 tokens a
// group. Nothing is left at 140.
TEST(Cluster, TheSlowestGroupNeedNotBeTheFullest) {
    TableTimer timer{[](const Iteration& it) {
        return it.prefill_tokens + (it.decode_sequences > 0 ? 100 : 0);
    }};
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].groups = 3;
    spec.pools[0].group.kv.page_tokens = 1;
    const ServingResult result = simulate_serving(
        spec,
        stream_of({make_request(0, 40, 2), make_request(20, 12, 1), make_request(20, 15, 1)}));
    EXPECT_EQ(result.end.ps, 140 * kMillisecond);
    ASSERT_EQ(timer.engines.size(), 2U);
    const EngineIteration &first = timer.engines[0], &second = timer.engines[1];
    EXPECT_EQ(first.mean_tokens, 14);  // 13.3
    EXPECT_EQ(first.fullest_tokens, 40);
    EXPECT_EQ(second.slowest.decode_tokens, 1);
    EXPECT_EQ(second.slowest.prefill_tokens, 0);
    EXPECT_EQ(second.mean_tokens, 10);
    EXPECT_EQ(second.fullest_tokens, 15);
    EXPECT_TRUE(second.prompts);
}

// A queue limit of 2: one runs, two wait, the fourth of those that come while the first runs goes.
TEST(Cluster, AFullQueueTurnsAwayAndMeansOverload) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1;
    spec.most_waiting = 2;
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 100, 1), make_request(10, 100, 1),
                                          make_request(20, 100, 1), make_request(30, 100, 1)}));
    EXPECT_EQ(result.rejected_queue_full, 1);
    EXPECT_EQ(result.finished, 3);
    EXPECT_EQ(result.verdict, Verdict::overloaded);
}

// Objectives: TTFT 120 ms holds for A (100) and B (100, after waiting 0) but not for C (190).
TEST(Cluster, GoodputCountsRequestsWithinTheirObjectives) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1;
    spec.slo.ttft = {120 * kMillisecond};
    const ServingResult result = simulate_serving(
        spec,
        stream_of({make_request(0, 100, 1), make_request(100, 100, 1), make_request(110, 100, 1)}));
    EXPECT_EQ(result.good, 2);
}

// The time limit ends a run in which requests are under way.
TEST(Cluster, ATimeLimitEndsTheRun) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.time_limit = SimTime{kSecond};
    const ServingResult result =
        simulate_serving(spec, stream_of({make_request(0, 100, 1'000'000)}));
    EXPECT_EQ(result.unfinished, 1);
    // One request that runs alone: no queue, so no overload; the reason says what ended the run.
    EXPECT_EQ(result.verdict, Verdict::stable);
    EXPECT_TRUE(result.cut);
    EXPECT_THAT(result.verdict_reason,
                testing::HasSubstr("the time limit ended the run with 1 request under way"));
    EXPECT_LE(result.end.ps, kSecond);
}

TEST(Cluster, PoolsMustFitTogether) {
    LinearTimer timer = simple_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].role = EngineRole::prefill;
    EXPECT_THROW(simulate_serving(spec, stream_of({})), InputError);
    spec.pools.clear();
    EXPECT_THROW(simulate_serving(spec, stream_of({})), InputError);
}

}  // namespace
}  // namespace orrery
