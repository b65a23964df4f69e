#include "serving/overlap.hpp"

#include <random>

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr double kUnit = 1e-3;  // s

PhaseTime phase(double alone, double beside_dispatch, double beside_combine) {
    return {{alone * kUnit, beside_dispatch * kUnit, beside_combine * kUnit}};
}
PhaseTime phase(double units) { return phase(units, units, units); }

MoeLayerTimes normal_layer() {
    MoeLayerTimes t;
    t.in = phase(1);
    t.core = phase(2);
    t.out = phase(0);
    t.shared = phase(0);
    t.experts = phase(3);
    t.dispatch = t.combine = 2 * kUnit;
    return t;
}

MoeLayerTimes low_latency_layer() {
    MoeLayerTimes t;
    t.low_latency = true;
    t.in = phase(1);
    t.core = phase(4);
    t.out = phase(0);
    t.shared = phase(1);
    t.experts = phase(2);
    t.dispatch = 2 * kUnit;
    t.combine = 3 * kUnit;
    return t;
}

double units(const MoeLayerTimes& t, std::int64_t layers, int batches) {
    return moe_layers_time(t, layers, batches) / kUnit;
}

// 3 attention, 2 dispatch, 3 experts, 2 combine, one after the other.
TEST(Overlap, OneBatchAddsUp) {
    EXPECT_NEAR(units(normal_layer(), 1, 1), 10, 1e-6);
    EXPECT_NEAR(units(normal_layer(), 7, 1), 70, 1e-6);
}

// Layer 0: attention A 0-3, B 3-6; dispatch A 3-5, B 6-8; experts A 6-9, B 9-12; combine A 9-11,
// B 12-14. Layer 1: attention A 12-15 (A is back at 11), B 15-18 (back at 14). So 12 a layer, all
// compute, and the last combine shows.
TEST(Overlap, TwoBatchesHideNormalTransfers) {
    EXPECT_NEAR(units(normal_layer(), 1, 2), 14, 1e-6);
    EXPECT_NEAR(units(normal_layer(), 5, 2), 5 * 12 + 2, 1e-6);
}

// Attention of B takes 6 instead of 3 while it runs beside dispatch A, which flies 3-5: it has done
// 2 x 3 / 6 = 1 by then and needs 2 more: 3-7. Experts A 7-10 beside dispatch B 7-9, experts B
// 10-13 beside combine A 10-12, combine B 13-15.
TEST(Overlap, AKernelBesideATransferIsSlower) {
    MoeLayerTimes t = normal_layer();
    t.in = phase(1, 2, 1);
    t.core = phase(2, 4, 2);
    EXPECT_NEAR(units(t, 1, 2), 15, 1e-6);
}

// Dispatch of 2 beside the shared expert of 1: 1 + 4 + 2 + 2 + 3.
TEST(Overlap, OneBatchRunsTheSharedExpertInFlight) {
    EXPECT_NEAR(units(low_latency_layer(), 1, 1), 12, 1e-6);
    MoeLayerTimes t = low_latency_layer();
    t.send = t.receive = kUnit;  // four kernels around the transfers
    EXPECT_NEAR(units(t, 3, 1), 3 * 16, 1e-6);
}

// Layer 0: in A 0-1, core A 1-5, dispatch A 5-7, shared A 5-6, in B 6-7, experts A 7-9, combine A
// 9-12, core B 9-13, dispatch B 13-15, shared B 13-14, (layer 1) in A 14-15, experts B 15-17,
// combine B 17-20. Layer 1: core A 17-21 and on as before, 16 later. Alone the last layer has no
// in A behind it: experts B wait for dispatch B at 15 all the same.
TEST(Overlap, FiveStagesHideLowLatencyTransfers) {
    EXPECT_NEAR(units(low_latency_layer(), 1, 2), 20, 1e-6);
    EXPECT_NEAR(units(low_latency_layer(), 4, 2), 3 * 16 + 20, 1e-6);
}

// Worked out as written against replayed, over random layers of both kinds: picoseconds apart, one
// for each of some thousand instructions.
TEST(Overlap, WithoutEventsIsTheReplayed) {
    std::mt19937 random(11);
    std::uniform_real_distribution<double> upto(0, 1e-3);
    for (int i = 0; i < 200; ++i) {
        MoeLayerTimes t;
        t.low_latency = i % 2 == 1;
        for (PhaseTime* p : {&t.in, &t.core, &t.out, &t.shared, &t.experts}) {
            const double alone = i % 5 == 0 ? 0 : upto(random);
            *p = {{alone, alone * (1 + 1e3 * upto(random)), alone * (1 + 1e3 * upto(random))}};
        }
        t.dispatch = upto(random);
        t.combine = 2 * upto(random);
        if (t.low_latency) t.send = t.receive = upto(random) / 10;
        for (const int batches : {1, 2}) {
            const double events = moe_layers_time(t, 20, batches);
            EXPECT_NEAR(quick_moe_layers_time(t, 20, batches), events, 5e-9) << i;
        }
    }
}

// With long transfers the NIC sets the pace: 2 + 30 of each micro-batch a layer, one at a time.
TEST(Overlap, TransfersOfBothMicroBatchesShareTheNetwork) {
    MoeLayerTimes t = low_latency_layer();
    t.combine = 30 * kUnit;
    const double layer = units(t, 20, 2) - units(t, 19, 2);
    EXPECT_GE(layer, 2 * 32 - 1e-6);
}

}  // namespace
}  // namespace orrery
