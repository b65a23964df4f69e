// Routers, failures and autoscaling: timelines by hand.
#include <unordered_set>

#include <gtest/gtest.h>

#include "serving/trace_reader.hpp"
#include "serving_fixture.hpp"

namespace orrery {
namespace {

double ms(Seconds time) { return time.value() * 1e3; }
LinearTimer token_timer() {
    return {.prefill_ps = kMillisecond, .any_decode_ps = 10 * kMillisecond};
}

// Two requests with the same prompt of 150 tokens, the second after the first has ended. Blocks of
// 64: 128 tokens can be found, where the router sends it to the same engine.
struct Twice {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    Twice() {
        spec.pools[0].engines = 2;
        spec.pools[0].group.kv.block_tokens = 64;
    }
    ServingResult run(RouterKind kind, std::int64_t second_at_ms = 1000) {
        spec.pools[0].router.kind = kind;
        static const std::vector<std::uint64_t> blocks = {7, 8, 9};
        std::vector<Request> requests = {make_request(0, 150, 1),
                                         make_request(second_at_ms, 150, 1)};
        for (Request& request : requests) request.blocks = blocks;
        RequestStream stream = stream_of(requests);
        stream.block_tokens = 64;
        return simulate_serving(spec, stream);
    }
};

TEST(Router, FollowsThePrefix) {
    Twice twice;
    EXPECT_EQ(twice.run(RouterKind::round_robin).hit_tokens, 0);
    for (const RouterKind kind : {RouterKind::prefix_aware, RouterKind::kv_aware}) {
        const ServingResult result = twice.run(kind);
        EXPECT_EQ(result.hit_tokens, 128);
        EXPECT_EQ(result.computed_prompt_tokens, 150 + 22);
        EXPECT_EQ(result.end.ps, 1022 * kMillisecond);
    }
    // The first of equals is as good as a hit for a router that looks at load alone.
    EXPECT_EQ(twice.run(RouterKind::least_loaded).hit_tokens, 128);
}

// While the first runs, its engine is loaded and has nothing to share yet: least loaded and
// KV-aware send the second one to the other engine.
TEST(Router, SpreadsLoad) {
    Twice twice;
    for (const RouterKind kind : {RouterKind::least_loaded, RouterKind::kv_aware,
                                  RouterKind::prefix_aware, RouterKind::round_robin}) {
        EXPECT_EQ(twice.run(kind, 10).end.ps, 160 * kMillisecond);
    }
}

// HBM has room for one prompt's blocks: a second prompt pushes them to the host, 0.5 ms a token;
// the third request, the first prompt again, loads 128 tokens (1000-1064) and computes 22.
TEST(LowerTiers, AreLoadedFrom) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 11, .page_tokens = 16, .block_tokens = 64};
    spec.pools[0].group.kv.host = {.tokens = 1000, .load_per_token = {kMillisecond / 2}};
    static const std::vector<std::uint64_t> first = {1, 2}, second = {3, 4};
    std::vector<Request> requests = {make_request(0, 150, 1), make_request(500, 150, 1),
                                     make_request(1000, 150, 1)};
    requests[0].blocks = requests[2].blocks = first;
    requests[1].blocks = second;
    RequestStream stream = stream_of(requests);
    stream.block_tokens = 64;
    const ServingResult result = simulate_serving(spec, stream);
    EXPECT_EQ(result.hit_tokens, 128);
    EXPECT_EQ(result.end.ps, (1000 + 64 + 22) * kMillisecond);
}

// The same with writing at 1/4 ms a token. Written back: the second's pages are clean at 532, so it
// ends at 682; the third's at 1032, its 128 tokens are there at 1096, and 22 are computed. Written
// through: the first's are on the host at 182, the second's at 682, and nobody waits.
TEST(LowerTiers, AreWrittenTo) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.kv = {.pages = 11, .page_tokens = 16, .block_tokens = 64};
    spec.pools[0].group.kv.host = {.tokens = 1000,
                                   .load_per_token = {kMillisecond / 2},
                                   .write_per_token = {kMillisecond / 4}};
    static const std::vector<std::uint64_t> first = {1, 2}, second = {3, 4};
    std::vector<Request> requests = {make_request(0, 150, 1), make_request(500, 150, 1),
                                     make_request(1000, 150, 1)};
    requests[0].blocks = requests[2].blocks = first;
    requests[1].blocks = second;
    const auto run = [&](bool through) {
        spec.pools[0].group.kv.write_through = through;
        RequestStream stream = stream_of(requests);
        stream.block_tokens = 64;
        return simulate_serving(spec, stream);
    };
    const ServingResult back = run(false), through = run(true);
    EXPECT_EQ(back.end.ps, 1118 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(back.ttft.mean()), (150 + 182 + 118) / 3.0);
    EXPECT_EQ(back.moves.loaded, 128);
    EXPECT_EQ(back.moves.written, 256);
    EXPECT_EQ(through.end.ps, 1086 * kMillisecond);
    EXPECT_DOUBLE_EQ(ms(through.ttft.mean()), (150 + 150 + 86) / 3.0);
    EXPECT_EQ(through.moves.written, 256);
}

// The first 500 conversations of Kimi's trace, one after the other with memory without end: hits
// are the leading full blocks that came before, but for a prompt's last token. The twin is a set.
TEST(LowerTiers, HitsOfARealTrace) {
    const char* const kTrace = "scenarios/serving/traces/mooncake_conversation_500.jsonl.gz";
    std::unordered_set<std::uint64_t> seen;
    std::int64_t hits = 0, tokens = 0;
    const RequestStream twin = mooncake_trace(kTrace);
    while (const auto request = twin.next()) {
        const auto full = static_cast<std::size_t>(request->prompt_tokens / 512);
        const auto most = static_cast<std::size_t>((request->prompt_tokens - 1) / 512);
        std::size_t found = 0;
        while (found < most && seen.contains(request->blocks[found])) ++found;
        hits += 512 * static_cast<std::int64_t>(found);
        tokens += request->prompt_tokens;
        for (std::size_t i = 0; i < full; ++i) seen.insert(request->blocks[i]);
    }
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.check = false;
    spec.pools[0].group.kv = {.pages = 100'000, .page_tokens = 512, .block_tokens = 512};
    spec.pools[0].group.policy.max_sequences = 1;
    const ServingResult result = simulate_serving(spec, mooncake_trace(kTrace));
    EXPECT_EQ(result.finished, 500);
    EXPECT_EQ(result.hit_tokens, hits);
    EXPECT_EQ(result.admitted_prompt_tokens, tokens);
    EXPECT_GT(hits, tokens / 10);
}

// Of 150 prompt tokens a store outside has 100, 2 ms each.
TEST(LowerTiers, AStoreOutside) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.store_per_token = {2 * kMillisecond};
    Request request = make_request(0, 150, 1);
    request.cached_tokens = 100;
    const ServingResult result = simulate_serving(spec, stream_of({request}));
    EXPECT_EQ(result.hit_tokens, 100);
    EXPECT_EQ(result.end.ps, (200 + 50) * kMillisecond);
}

// The engine fails at 50 and is up again at 70: the prompt runs 70-170.
TEST(Failures, ComputeAgain) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.failures = {.given = {{0, 0, SimTime{50 * kMillisecond}}}, .repair = {20 * kMillisecond}};
    const ServingResult result = simulate_serving(spec, stream_of({make_request(0, 100, 1)}));
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), 170);
    EXPECT_EQ(result.retries, 1);
    EXPECT_EQ(result.finished, 1);
}

// First token at 100, second at 110, failure at 115, up at 125: 102 tokens computed until 227 give
// the third.
TEST(Failures, KeepWhatWasGivenOut) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.failures = {.given = {{0, 0, SimTime{115 * kMillisecond}}}, .repair = {10 * kMillisecond}};
    const ServingResult result = simulate_serving(spec, stream_of({make_request(0, 100, 3)}));
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), 100);
    EXPECT_EQ(result.end.ps, 227 * kMillisecond);
    EXPECT_EQ(result.computed_prompt_tokens, 202);
    EXPECT_EQ(result.itl.count(), 2);
}

// With another engine up it goes there once the failure is noticed, 5 ms later: 55-155.
TEST(Failures, GoElsewhere) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].engines = 2;
    spec.failures = {.given = {{0, 0, SimTime{50 * kMillisecond}}},
                     .repair = {kSecond},
                     .detection = {5 * kMillisecond}};
    const ServingResult result = simulate_serving(spec, stream_of({make_request(0, 100, 1)}));
    EXPECT_EQ(result.end.ps, 155 * kMillisecond);
}

// Retried twice at most: the third failure loses it. Without repair in reach nothing hangs either.
TEST(Failures, LoseARequestInTheEnd) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    for (const std::int64_t at : {50, 150, 250}) {
        spec.failures.given.push_back({0, 0, SimTime{at * kMillisecond}});
    }
    spec.failures.repair = {10 * kMillisecond};
    spec.failures.most_retries = 2;
    const ServingResult result = simulate_serving(spec, stream_of({make_request(0, 100, 1)}));
    EXPECT_EQ(result.lost, 1);
    EXPECT_EQ(result.finished, 0);
    EXPECT_EQ(result.unfinished, 0);
}

// Five requests of 100 ms wait for one engine. At 100 ms four wait: a second engine is started, is
// up at 250, and takes the one that comes at 260. Both are idle at 400 and 500; from then on one is
// drained at the next look, 500.
TEST(Autoscale, StartsAndDrains) {
    LinearTimer timer = token_timer();
    ClusterSpec spec = one_engine(timer);
    spec.pools[0].group.policy.max_sequences = 1;
    spec.pools[0].autoscale = {
        .on = true, .least = 1, .most = 2, .interval = {100 * kMillisecond}, .waiting_above = 2};
    spec.pools[0].startup.warm_up = {150 * kMillisecond};
    std::vector<Request> requests(5, make_request(0, 100, 1));
    requests.push_back(make_request(260, 100, 1));
    requests.push_back(make_request(1000, 100, 1));
    const ServingResult result = simulate_serving(spec, stream_of(requests));
    EXPECT_EQ(result.finished, 7);
    EXPECT_EQ(result.pools[0].engines_peak, 2);
    // TTFT: 100 ... 500, 100 at the new engine, 100 for the last.
    EXPECT_DOUBLE_EQ(ms(result.ttft.mean()), (1500 + 100 + 100) / 7.0);
    // The first engine until 1100, the second from 100 to its drain.
    EXPECT_NEAR(result.gpu_seconds(), 1.1 + 0.4, 0.101);
}

}  // namespace
}  // namespace orrery
