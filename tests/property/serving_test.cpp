// Laws that hold for every deployment: no request is lost or served twice, sums add up after every
// event (ClusterSpec::check), two runs are equal, the order of events at one time does not matter.
#include <gtest/gtest.h>

#include "../unit/serving/serving_fixture.hpp"
#include "core/random.hpp"

namespace orrery {
namespace {

std::uint64_t pick(std::uint64_t seed, std::uint64_t draw, std::uint64_t n) {
    return counter_hash(seed, 99, draw) % n;
}

// Requests whose prompts are paths in a tree: 8 roots, three branches a block of 64 tokens.
RequestStream tree_stream(std::uint64_t seed, std::int64_t requests) {
    RequestStream stream = synthetic_stream({.arrivals = {ArrivalFamily::gamma, 30, 0.3},
                                             .prompt = {LengthFamily::uniform, 1, 500},
                                             .output = {LengthFamily::uniform, 1, 200},
                                             .requests = requests,
                                             .seed = seed});
    auto blocks = std::make_shared<std::vector<std::uint64_t>>();
    auto number = std::make_shared<std::uint64_t>(0);
    stream.next = [next = stream.next, blocks, number, seed]() {
        auto request = next();
        if (!request) return request;
        // Arrivals on a grid of 10 ms, so that many things happen at one time.
        request->arrival = SimTime{request->arrival.ps / (10 * kMillisecond) * 10 * kMillisecond};
        blocks->clear();
        std::uint64_t name = 1 + pick(seed, 1000 + *number, 8);
        for (std::int64_t i = 0; i < (request->prompt_tokens + 63) / 64; ++i) {
            name = name * 3 + pick(seed, 5000 + *number * 16 + static_cast<std::uint64_t>(i), 3);
            blocks->push_back(name);
        }
        request->priority = static_cast<std::int32_t>(pick(seed, *number, 3));
        ++*number;
        request->blocks = *blocks;
        return request;
    };
    stream.block_tokens = 64;
    return stream;
}

// Iterations take whole multiples of 10 ms: ties are the rule.
struct GridTimer {
    SimDuration time(const EngineIteration& it) { return own_time(it.slowest, it.prompts); }
    SimDuration own_time(const Iteration& it, bool) {
        return {10 * kMillisecond * (1 + it.prefill_tokens / 200)};
    }
};

ClusterSpec random_cluster(std::uint64_t seed, GridTimer& timer) {
    ClusterSpec spec;
    spec.check = true;
    const auto pool = [&](EngineRole role, std::uint64_t draw) {
        PoolSpec p;
        p.role = role;
        p.timer = AnyTimer(timer);
        p.engines = static_cast<std::int64_t>(1 + pick(seed, draw, 3));
        p.groups = static_cast<std::int64_t>(1 + pick(seed, draw + 1, 3));
        p.group.policy = policy_kinds()[pick(seed, draw + 2, policy_kinds().size())].policy;
        p.group.policy.cpu_time.value = Seconds(0);
        p.group.policy.order = static_cast<AdmissionOrder>(pick(seed, draw + 3, 3));
        p.group.ttft_objective = {kSecond};
        p.group.kv = {.pages = static_cast<std::int64_t>(48 + pick(seed, draw + 4, 60)),
                      .page_tokens = 16,
                      .block_tokens = 64};
        p.group.kv.host = {.tokens = static_cast<std::int64_t>(pick(seed, draw + 5, 3)) * 640,
                           .load_per_token = {kMillisecond / 100},
                           .write_per_token = {kMillisecond / 50}};
        p.group.kv.ssd = {.tokens = 6400,
                          .load_per_token = {kMillisecond / 10},
                          .write_per_token = {kMillisecond / 5}};
        p.group.kv.write_through = pick(seed, draw + 9, 2) == 0;
        p.group.policy.preemption = static_cast<Preemption>(pick(seed, draw + 10, 2));
        p.group.decodes = role != EngineRole::prefill;
        if (pick(seed, draw + 6, 2) == 0) p.group.speculation.acceptance = {0.7, 0.4};
        p.router.kind = static_cast<RouterKind>(pick(seed, draw + 7, 4));
        p.balance = static_cast<GroupBalance>(pick(seed, draw + 8, 2));
        return p;
    };
    switch (pick(seed, 1, 3)) {
        case 0:
            spec.pools = {pool(EngineRole::mixed, 10)};
            break;
        case 1:
            spec.pools = {pool(EngineRole::prefill, 10), pool(EngineRole::decode, 30)};
            break;
        default:
            spec.pools = {pool(EngineRole::mixed, 10), pool(EngineRole::prefill, 30),
                          pool(EngineRole::decode, 50)};
    }
    spec.handoff = {.layer_wise = pick(seed, 2, 2) == 0,
                    .layers = 4,
                    .bytes_per_token = 1000,
                    .bandwidth = BytesPerSecond(1e7)};
    if (pick(seed, 3, 2) == 0) {
        spec.failures.mean_seconds_between = 4;
        spec.failures.repair = {kSecond};
        spec.failures.detection = {static_cast<std::int64_t>(pick(seed, 4, 2)) * 100 *
                                   kMillisecond};
        spec.failures.most_retries = 1000;
    }
    if (pick(seed, 5, 2) == 0) {
        for (PoolSpec& p : spec.pools) {
            p.autoscale = {.on = true,
                           .least = 1,
                           .most = 4,
                           .interval = {200 * kMillisecond},
                           .waiting_above = 2};
            p.startup = {.read = {300 * kMillisecond},
                         .store = {200 * kMillisecond},
                         .convert = {50 * kMillisecond},
                         .warm_up = {150 * kMillisecond}};
        }
    }
    return spec;
}

void expect_equal(const ServingResult& a, const ServingResult& b) {
    EXPECT_EQ(a.fingerprint, b.fingerprint);
    EXPECT_EQ(a.end, b.end);
    EXPECT_EQ(a.ttft.percentile(0.9), b.ttft.percentile(0.9));
    EXPECT_EQ(a.e2e.percentile(0.5), b.e2e.percentile(0.5));
    EXPECT_EQ(a.itl.count(), b.itl.count());
    EXPECT_EQ(a.hit_tokens, b.hit_tokens);
    EXPECT_EQ(a.retries, b.retries);
    EXPECT_EQ(a.preemptions, b.preemptions);
}

TEST(Serving, EveryRequestEndsOnceWhateverHappens) {
    constexpr std::int64_t kRequests = 250;
    std::int64_t preemptions = 0, retries = 0, hits = 0, handoffs = 0, started = 0;
    std::int64_t swaps = 0, refused = 0, loaded = 0, written = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        GridTimer timer;
        ClusterSpec spec = random_cluster(seed, timer);
        const ServingResult result = simulate_serving(spec, tree_stream(seed, kRequests));
        EXPECT_EQ(result.arrived, kRequests);
        EXPECT_EQ(result.finished + result.rejected_too_long + result.lost, kRequests);
        EXPECT_EQ(result.unfinished, 0);
        EXPECT_EQ(result.ttft.count(), result.finished);
        EXPECT_EQ(result.e2e.count(), result.finished);
        EXPECT_GT(result.finished, kRequests / 2);
        spec.reverse_ties = true;
        expect_equal(result, simulate_serving(spec, tree_stream(seed, kRequests)));
        preemptions += result.preemptions;
        retries += result.retries;
        hits += result.hit_tokens;
        swaps += result.swaps;
        refused += result.swaps_refused;
        loaded += result.moves.loaded;
        written += result.moves.written;
        handoffs += result.handoff.count();
        for (const PoolResult& pool : result.pools) started += pool.engines_peak;
    }
    // The cases do what they are there for.
    EXPECT_GT(preemptions, 100);
    EXPECT_GT(retries, 100);
    EXPECT_GT(hits, 10'000);
    EXPECT_GT(swaps, 100);
    EXPECT_GT(refused, 10);
    EXPECT_GT(loaded, 1000);
    EXPECT_GT(written, loaded);
    EXPECT_GT(handoffs, 1000);
    EXPECT_GT(started, 60);
}

TEST(Serving, TwoRunsAreEqual) {
    GridTimer timer;
    const ClusterSpec spec = random_cluster(3, timer);
    expect_equal(simulate_serving(spec, tree_stream(3, 300)),
                 simulate_serving(spec, tree_stream(3, 300)));
}

}  // namespace
}  // namespace orrery
