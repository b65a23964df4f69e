// An engine whose attention groups are not equally full: what is set by the slowest, by the fullest
// and by the mean.
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "engines.hpp"

namespace orrery {
namespace {

using test::decoding;
using test::deepseek_engine;
using test::prefilling;
using test::uneven;

double ms(SimDuration d) { return static_cast<double>(d.ps) * 1e-9; }

EngineSpec engine_of(std::int64_t ep, Overlap overlap, bool eplb = false) {
    EngineSpec spec = deepseek_engine(ep);
    spec.overlap = overlap;
    if (eplb) {
        spec.routing.kind = RoutingKind::drawn;
        spec.routing.redundant = 32;
        spec.routing.eplb = true;
        spec.routing.layers = 2;
    }
    return spec;
}

double sum_of(const MoeLayerTimes& t) {
    const double compute = t.in.alone() + t.core.alone() + t.out.alone() + t.experts.alone();
    if (!t.low_latency) return compute + t.shared.alone() + t.dispatch + t.combine;
    return compute + std::max(t.shared.alone(), t.dispatch) + t.combine + 2 * (t.send + t.receive);
}

// 32 groups, the slowest with 64 sequences, the mean 32. One MoE layer: norm to router and shared
// expert as if all had 64, experts as if all had 32. A rank sends 64 x 8 pairs as if all had 64;
// what it receives is the mean's, and balanced routing sends as much as it receives: dispatch and
// combine as if all had 64, within the draw of a few hundred pairs. The iteration differs from
// all-at-64 by nothing else in its 58 MoE layers.
TEST(UnevenGroups, OneLayerByHand) {
    for (const bool prompts : {false, true}) {
        const auto batch = [&](std::int64_t n) {
            return prompts ? prefilling(n / 8, 512) : decoding(n, 4096);
        };
        IterationTime engine(engine_of(32, Overlap::none));
        const Iteration full = batch(64);
        const std::int64_t mean = batch(32).tokens();
        const MoeLayerTimes all = engine.moe_layer(full, false);
        const MoeLayerTimes half = engine.moe_layer(batch(32), false);
        const MoeLayerTimes mixed = engine.moe_layer(uneven(full, mean), false);
        EXPECT_EQ(mixed.in.alone(), all.in.alone());
        EXPECT_EQ(mixed.core.alone(), all.core.alone());
        EXPECT_EQ(mixed.out.alone(), all.out.alone());
        EXPECT_EQ(mixed.shared.alone(), all.shared.alone());
        EXPECT_EQ(mixed.experts.alone(), half.experts.alone());
        EXPECT_LT(mixed.experts.alone(), all.experts.alone());
        EXPECT_NEAR(mixed.dispatch, all.dispatch, 0.12 * all.dispatch);
        EXPECT_NEAR(mixed.combine, all.combine, 0.12 * all.combine);
        EXPECT_GT(mixed.dispatch, 1.5 * half.dispatch - 50e-6);
        const double less = 58 * (sum_of(all) - sum_of(mixed));
        EXPECT_NEAR(ms(engine.direct(full)) - ms(engine.direct(uneven(full, mean))), less * 1e3,
                    1e-5);
    }
}

// With every group alike the fields say what one group says.
TEST(UnevenGroups, EqualOnesAreAsBefore) {
    IterationTime engine(engine_of(32, Overlap::automatic));
    for (const Iteration& it : {decoding(77, 3000), prefilling(3, 1111, 64)}) {
        EngineIteration all;
        all.slowest = it;
        all.mean_tokens = all.fullest_tokens = it.tokens();
        all.prompts = it.prefill_tokens > 0;
        EXPECT_EQ(all, EngineIteration(it));
        EXPECT_EQ(engine.direct(all), engine.direct(it));
        EXPECT_EQ(engine.time(all), engine.time(it));
    }
}

// Never shorter than the slowest group's own work, never longer than with all groups as full; more
// tokens elsewhere and a fuller fullest group never make it shorter (but for the plateaus of
// measured kernels: 0.3 %). In both regimes, with one and two micro-batches.
TEST(UnevenGroups, LiesBetweenItsBoundsAndGrows) {
    for (const Overlap overlap : {Overlap::none, Overlap::two_batch}) {
        IterationTime engine(engine_of(32, overlap));
        for (const Iteration& it : {decoding(128, 4096), prefilling(4, 1024)}) {
            const SimDuration most = engine.direct(it);
            const SimDuration own = engine.own_time(it, it.prefill_tokens > 0);
            SimDuration last{0};
            for (std::int64_t mean = it.tokens() / 32; mean <= it.tokens(); mean *= 2) {
                const SimDuration t = engine.direct(uneven(it, mean));
                EXPECT_GE(t, own) << mean;
                EXPECT_LE(t, most) << mean;
                EXPECT_GE(ms(t), 0.997 * ms(last)) << mean;
                last = t;
            }
            EXPECT_EQ(last, most);
            last = most;
            EngineIteration fuller(it);
            for (fuller.fullest_tokens = it.tokens() * 5 / 4;
                 fuller.fullest_tokens <= 4 * it.tokens(); fuller.fullest_tokens *= 2) {
                const SimDuration t = engine.direct(fuller);
                EXPECT_GE(t, last);
                last = t;
            }
            EXPECT_GT(last, most);
        }
    }
}

// Read against worked out, groups and means at random, with drawn routing and EPLB.
TEST(UnevenGroups, AreReadWithinThreePerCent) {
    IterationTime engine(engine_of(32, Overlap::automatic, true));
    std::mt19937 random(5);
    const auto between = [&](double low, double high) {
        return std::llround(std::exp(
            std::uniform_real_distribution<double>(std::log(low), std::log(high))(random)));
    };
    double mean_error = 0, worst = 0;
    constexpr int kCount = 60;
    for (int i = 0; i < kCount; ++i) {
        EngineIteration it = i % 2 == 0
                                 ? decoding(between(1, 300), between(64, 30000))
                                 : prefilling(between(1, 8), between(64, 2048), between(1, 4096));
        it.fullest_tokens = it.slowest.tokens() + between(1, 50) - 1;
        it.mean_tokens = std::max<std::int64_t>(
            1, static_cast<std::int64_t>(static_cast<double>(it.fullest_tokens) /
                                         static_cast<double>(between(1, 8))));
        const double read = ms(engine.time(it)), exact = ms(engine.direct(it));
        const double error = std::fabs(read / exact - 1);
        mean_error += error / kCount;
        worst = std::max(worst, error);
    }
    EXPECT_LT(mean_error, 0.012);
    EXPECT_LT(worst, 0.05);
}

// Beside another group's prompts decoding runs with the normal all-to-all, and without a graph: its
// own kernels lie further apart.
TEST(UnevenGroups, OneGroupsPromptsAreEverybodysMode) {
    IterationTime engine(engine_of(32, Overlap::none));
    EngineIteration it = decoding(64, 4096);
    const SimDuration alone = engine.direct(it);
    it.prompts = true;
    EXPECT_FALSE(engine.moe_layer(it, false).low_latency);
    EXPECT_NE(engine.direct(it), alone);
    EXPECT_GT(engine.own_time(it.slowest, true), engine.own_time(it.slowest, false));
}

// Two groups of TP8 with their experts inside do not meet: nothing of the other one counts.
TEST(UnevenGroups, ExpertsInsideAGroupHaveItsTokens) {
    EngineSpec spec = deepseek_engine(8, 8);
    spec.plan.dp = 2;
    IterationTime engine(spec);
    EngineIteration it = decoding(64, 4096);
    const SimDuration alone = engine.direct(it);
    it.prompts = true;
    it.mean_tokens = 500;
    it.fullest_tokens = 936;
    EXPECT_EQ(engine.direct(it), alone);
    EXPECT_EQ(engine.time(it), engine.time(it.slowest));
}

// The group with the longer own work makes the longer iteration, whichever has more tokens.
TEST(UnevenGroups, OwnTimeOrdersGroups) {
    IterationTime engine(engine_of(32, Overlap::none));
    const Iteration many = decoding(128, 500), far = decoding(40, 60000);
    const auto with = [&](const Iteration& slowest) {
        EngineIteration it = slowest;
        it.mean_tokens = 60;
        it.fullest_tokens = 128;
        return engine.direct(it);
    };
    EXPECT_LT(engine.own_time(many, false), engine.own_time(far, false));
    EXPECT_LT(with(many), with(far));
    const Iteration chunk = prefilling(1, 4096, 20000), prompts = prefilling(4, 1024);
    EXPECT_LT(engine.own_time(prompts, true), engine.own_time(chunk, true));
    EXPECT_LT(engine.direct(prompts), engine.direct(chunk));
}

// Three sequences are cut into 2 and 1: half of 3, and a half more. Of the mean's 100 tokens that
// leaves 50.5, experts for 51, as if all groups had 102.
TEST(UnevenGroups, HalvesOfTheMeanAreItsHalves) {
    IterationTime engine(engine_of(32, Overlap::two_batch));
    EngineIteration it = decoding(3, 60000);
    it.mean_tokens = it.fullest_tokens = 100;
    EXPECT_EQ(engine.moe_layer(it, true).experts.alone(),
              engine.moe_layer(decoding(102, 4096), true).experts.alone());
}

// A single prompt is cut: a micro-batch has half its queries; its keys are the context and a
// quarter of the prompt, read twice over.
TEST(UnevenGroups, OnePromptIsCutInTwo) {
    IterationTime cut(engine_of(32, Overlap::two_batch)), whole(engine_of(32, Overlap::none));
    const Iteration one = prefilling(1, 8192, 4096);
    const IterationParts parts = cut.parts(one);
    EXPECT_TRUE(parts.overlapped);
    EXPECT_LT(cut.direct(one), whole.direct(one));
    // Two prompts of the same sums are cheaper only by the context that both halves read.
    Iteration two = one;
    two.prefill_sequences = 2;
    EXPECT_GT(cut.direct(one), cut.direct(two));
    EXPECT_LT(ms(cut.direct(one)), 1.1 * ms(cut.direct(two)));
}

}  // namespace
}  // namespace orrery
