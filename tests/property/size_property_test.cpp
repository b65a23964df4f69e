// What the closed form leaves out can never keep the promise: every size of random deployments is
// replayed, and the search answers what trying them all answers.
#include <gtest/gtest.h>

#include "../unit/serving/serving_fixture.hpp"
#include "core/random.hpp"
#include "serving/size_bounds.hpp"
#include "study/size_search.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMostEngines = 6;

struct Draw {
    std::uint64_t seed, next = 0;
    std::int64_t operator()(std::int64_t n) {
        return static_cast<std::int64_t>(counter_hash(seed, 11, next++) %
                                         static_cast<std::uint64_t>(n));
    }
};

// The slowest group's own work, experts over the mean group's tokens, sends of the fullest.
struct EngineTimer : LinearTimer {
    std::int64_t expert_ps = 0, send_ps = 0;
    SimDuration time(const EngineIteration& it) {
        return {own_time(it.slowest, it.prompts).ps + expert_ps * it.mean_tokens +
                send_ps * it.fullest_tokens};
    }
};

// A deployment, a workload and a promise that some sizes keep and others do not.
struct Case {
    explicit Case(std::uint64_t seed) : draw{seed} {
        for (EngineTimer& timer : timers) {
            static_cast<LinearTimer&>(timer) = {.base_ps = kMillisecond * (1 + draw(8)),
                                                .prefill_ps = kMillisecond / 100 * (1 + draw(20)),
                                                .decode_ps = kMillisecond / 100 * draw(40),
                                                .context_ps = kMillisecond / 100'000 * draw(300)};
            timer.expert_ps = kMillisecond / 100 * draw(10);
            timer.send_ps = kMillisecond / 100 * draw(5);
        }
        spec.check = true;
        if (draw(2) == 0) {
            spec.pools = {pool(EngineRole::mixed, 0)};
        } else {
            spec.pools = {pool(EngineRole::prefill, 0), pool(EngineRole::decode, 1)};
        }
        workload.arrivals = {ArrivalFamily::gamma, static_cast<double>(10 + draw(60)), 0.5};
        workload.prompt = {LengthFamily::uniform, 1, 100 + draw(900)};
        workload.output = {LengthFamily::uniform, 1, 2 + draw(150)};
        workload.cached_fraction = 0.1 * static_cast<double>(draw(4));
        workload.requests = 100 + draw(200);
        workload.seed = seed;
        promise.attainment = 0.9 + 0.01 * static_cast<double>(draw(11));
        const auto some = [&](std::int64_t ms) {
            return SimDuration{kMillisecond * (1 + draw(ms))};
        };
        if (draw(3) > 0) promise.objectives.ttft = some(3000);
        if (draw(3) > 0) promise.objectives.tpot = some(60);
        if (draw(3) == 0) promise.objectives.e2e = some(10'000);
        if (draw(3) == 0 || !promise.any()) {
            promise.targets.push_back({ServiceTime::ttft, 0.9, some(2000), "ttft_p90"});
            promise.targets.push_back({ServiceTime::tpot, 0.99, some(60), "tpot_p99"});
        }
        spec.slo = promise.objectives;
    }

    PoolSpec pool(EngineRole role, std::size_t timer) {
        PoolSpec p;
        p.role = role;
        p.timer = AnyTimer(timers[timer]);
        p.groups = 1 + draw(4);
        const auto kinds = static_cast<std::int64_t>(policy_kinds().size());
        p.group.policy = policy_kinds()[static_cast<std::size_t>(draw(kinds))].policy;
        p.group.policy.cpu_time.value = Seconds(1e-3 * static_cast<double>(draw(3)));
        p.group.policy.max_sequences = std::min(p.group.policy.max_sequences, 4 + draw(60));
        p.group.kv = {.pages = 150 + draw(1000), .page_tokens = 16};
        p.group.decodes = role != EngineRole::prefill;
        if (draw(3) == 0) p.group.speculation.acceptance = {0.8};
        return p;
    }

    bool kept(const Engines& engines) {
        for (std::size_t p = 0; p < engines.size(); ++p) spec.pools[p].engines = engines[p];
        const ServingResult result = simulate_serving(spec, synthetic_stream(workload));
        return shortfalls(promise, result).empty();
    }
    SizeSpace space() const {
        SizeSpace all;
        for (std::size_t p = 0; p < spec.pools.size(); ++p) {
            all.pools.push_back({1, kMostEngines, static_cast<std::int64_t>(1 + p)});
        }
        return all;
    }

    Draw draw;
    std::array<EngineTimer, 2> timers;
    ClusterSpec spec;
    SyntheticWorkload workload;
    ServicePromise promise;
};

std::vector<Engines> every_size(const SizeSpace& space) {
    std::vector<Engines> all;
    fewest(
        space,
        [&](const Engines& engines) {
            all.push_back(engines);
            return false;
        },
        true);
    return all;
}

}  // namespace

TEST(SizeProperty, BoundsNeverLeaveOutASizeThatWillDo) {
    int kept = 0, pruned = 0, impossible = 0, same = 0;
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
        SCOPED_TRACE(seed);
        Case one(seed);
        const SizeBounds bounds =
            bound_sizes(one.spec, one.promise, [&] { return synthetic_stream(one.workload); });
        SizeSpace space = one.space();
        const auto slow = fewest(
            space, [&](const Engines& e) { return one.kept(e); }, true);
        impossible += bounds.impossible.empty() ? 0 : 1;
        if (slow) ++kept;
        for (const Engines& engines : every_size(space)) {
            bool below = !bounds.impossible.empty();
            for (std::size_t p = 0; p < engines.size(); ++p) {
                below = below || engines[p] < bounds.least[p];
            }
            if (!below) continue;
            ++pruned;
            EXPECT_FALSE(one.kept(engines)) << engines.front() << " + " << engines.back();
        }
        bool empty = !bounds.impossible.empty();
        for (std::size_t p = 0; p < space.pools.size(); ++p) {
            space.pools[p].least = bounds.least[p];
            empty = empty || bounds.least[p] > kMostEngines;
        }
        if (empty) continue;
        const auto fast = fewest(space, [&](const Engines& e) { return one.kept(e); });
        if (fast.has_value() == slow.has_value() &&
            (!fast || space.gpus(*fast) == space.gpus(*slow))) {
            ++same;
        } else {
            // Only where more engines hurt: the sizes between fail and do by turns.
            EXPECT_TRUE(slow && (!fast || space.gpus(*fast) > space.gpus(*slow)));
        }
    }
    // The cases are of all kinds.
    EXPECT_GE(kept, 40);
    EXPECT_GE(pruned, 200);
    EXPECT_GE(impossible, 8);
    EXPECT_GE(same, 75);
    std::printf("%d kept, %d sizes pruned, %d impossible, %d searches equal\n", kept, pruned,
                impossible, same);
}

}  // namespace orrery
