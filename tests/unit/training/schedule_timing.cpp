#include "training/schedule_timing.hpp"

#include <random>

#include "core/error.hpp"
#include "schedule_twin.hpp"

using namespace orrery;

namespace {

PipelineSchedule make(const char* name, int ranks, int micro_batches, int chunks = 0) {
    return make_schedule(name, {.ranks = ranks, .micro_batches = micro_batches, .chunks = chunks});
}

std::vector<int> filled(int size, int value) {
    return std::vector<int>(static_cast<std::size_t>(size), value);
}

}  // namespace

// Two ranks, two micro-batches, F 1, B = I + W = 2 + 3.
// rank 0: F0 0-1, F1 1-2, B0 from 7 to 12, B1 13-18; rank 1: F0 1-2, B0 2-7, F1 7-8, B1 8-13.
TEST(ScheduleTiming, OneForwardOneBackwardByHand) {
    const PipelineSchedule s = make("1f1b", 2, 2);
    const ScheduleTiming t = time_schedule(s, {1, 2, 3, 0});
    EXPECT_EQ(t.makespan, 18);
    EXPECT_EQ(t.busy, (std::vector<double>{12, 12}));
    EXPECT_EQ(t.bubble, (std::vector<double>{6, 6}));
    EXPECT_EQ(t.actions[0][2].start, 7);
    EXPECT_EQ(t.actions[0][3].start, 13);
    EXPECT_EQ(t.actions[1][3].end, 13);
}

// DualPipe, 2 ranks, 4 micro-batches, F 1, I 1, W 1, F&B 2.5: both ranks run F F F B (5 units), a
// pair (7.5), B (9.5), I (10.5), W (11.5) without waiting.
TEST(ScheduleTiming, DualPipeByHand) {
    const ScheduleTiming t = time_schedule(make("dualpipe", 2, 4), {1, 1, 1, 2.5});
    EXPECT_EQ(t.makespan, 11.5);
    EXPECT_EQ(t.bubble, (std::vector<double>{0, 0}));
}

// DeepSeek-V3's shape with the passes in ms that fit its published step: F 49, I 68, W 32, F&B 144.
TEST(ScheduleTiming, DualPipeAtDeepSeekV3) {
    const PipelineSchedule s = make("dualpipe", 16, 120);
    const PassCosts costs{49, 68, 32, 144};
    EXPECT_EQ(time_schedule(s, costs).bubble,
              (std::vector<double>{957, 962, 967, 972, 977, 982, 987, 987, 987, 987, 982, 977, 972,
                                   967, 962, 957}));
    EXPECT_EQ(closed_form_bubble(s, costs), 1036);  // 7 (144 + 100 - 96)
}

// Activations held at most, in micro-batch x chunks: gpipe all M; 1f1b P - r; interleaved what runs
// ahead and one more, 2 (P-1-r) + (V-1) P + 1; zb1p P on every rank until W (P - r until I); zb_v
// 2 P; DualPipe P + 1 (Table 2 of the report), DualPipeV one more than its 2 P stages.
TEST(ScheduleTiming, InFlightPeaks) {
    const auto peak = [](const PipelineSchedule& s) { return time_schedule(s, {}).in_flight; };
    EXPECT_EQ(peak(make("gpipe", 4, 9)), filled(4, 9));
    EXPECT_EQ(peak(make("1f1b", 4, 9)), (std::vector<int>{4, 3, 2, 1}));
    EXPECT_EQ(peak(make("1f1b", 4, 2)), (std::vector<int>{2, 2, 2, 1}));
    EXPECT_EQ(peak(make("interleaved_1f1b", 4, 16, 3)), (std::vector<int>{15, 13, 11, 9}));
    EXPECT_EQ(peak(make("zb1p", 4, 9)), filled(4, 4));
    EXPECT_EQ(time_schedule(make("zb1p", 4, 9), {}).in_flight_until_input,
              (std::vector<int>{4, 3, 2, 1}));
    EXPECT_EQ(peak(make("zb_v", 4, 20)), filled(4, 8));
    EXPECT_EQ(peak(make("dualpipe", 8, 20)), filled(8, 9));
    EXPECT_EQ(peak(make("dualpipe", 16, 120)), filled(16, 17));
    EXPECT_EQ(peak(make("dualpipe_v", 4, 20)), filled(4, 9));
}

// 1f1b, rank 0 of 2, two micro-batches, as in the first test: F0 starts at 0, F1 at 1, B0 ends at
// 12, B1 at 18.
TEST(ScheduleTiming, InFlightCurve) {
    const PipelineSchedule s = make("1f1b", 2, 2);
    const auto curve = in_flight_curve(s, time_schedule(s, {1, 2, 3, 0}), 0);
    ASSERT_EQ(curve.size(), 4u);
    EXPECT_EQ(curve[0].time, 0);
    EXPECT_EQ(curve[1].time, 1);
    EXPECT_EQ(curve[1].in_flight, 2);
    EXPECT_EQ(curve[2].time, 12);
    EXPECT_EQ(curve[2].in_flight, 1);
    EXPECT_EQ(curve[3].time, 18);
    EXPECT_EQ(curve[3].in_flight, 0);
}

TEST(ScheduleTiming, CurveEndsAtNothingAndPeaksAtThePeak) {
    for (const ScheduleKind& kind : schedule_kinds()) {
        const PipelineSchedule s = make_schedule(kind.name, {.ranks = 4, .micro_batches = 12});
        const ScheduleTiming t = time_schedule(s, {});
        for (int rank = 0; rank < 4; ++rank) {
            const auto curve = in_flight_curve(s, t, rank);
            int peak = 0;
            for (const InFlightPoint& point : curve) peak = std::max(peak, point.in_flight);
            EXPECT_EQ(peak, t.in_flight[static_cast<std::size_t>(rank)]) << kind.name;
            EXPECT_EQ(curve.back().in_flight, 0);
            EXPECT_EQ(curve.back().in_flight_until_input, 0);
        }
    }
}

// Against the twin, at random integer costs: equal to the last bit.
TEST(ScheduleTiming, MatchesTheTwin) {
    std::mt19937 random(11);
    const auto draw = [&](int least, int most) {
        return std::uniform_int_distribution<int>(least, most)(random);
    };
    for (int trial = 0; trial < 12; ++trial) {
        for (const ScheduleKind& kind : schedule_kinds()) {
            const int ranks = 2 * draw(1, 3);
            const PipelineSchedule s =
                make_schedule(kind.name, {.ranks = ranks, .micro_batches = ranks * draw(2, 3)});
            const PassCosts costs{double(draw(0, 90)), double(draw(0, 90)), double(draw(0, 90)),
                                  double(draw(0, 200))};
            const ScheduleTiming fast = time_schedule(s, costs);
            const auto slow = twin_times(s, costs);
            double makespan = 0;
            for (std::size_t r = 0; r < slow.size(); ++r) {
                for (std::size_t i = 0; i < slow[r].size(); ++i) {
                    ASSERT_EQ(fast.actions[r][i].start, slow[r][i].start) << kind.name;
                    ASSERT_EQ(fast.actions[r][i].end, slow[r][i].end) << kind.name;
                }
                makespan = std::max(makespan, slow[r].back().end);
            }
            EXPECT_EQ(fast.makespan, makespan);
        }
    }
}

TEST(ScheduleTiming, RefusesWhatCannotBeTimed) {
    PipelineSchedule s = make("gpipe", 2, 2);
    EXPECT_THROW(time_schedule(s, {-1, 1, 1, 1}), InputError);
    EXPECT_THROW(time_schedule(s, {1, std::nan(""), 1, 1}), InputError);
    std::swap(s.actions[0][1], s.actions[0][2]);
    EXPECT_THROW(time_schedule(s, {}), SimulationError);
}
