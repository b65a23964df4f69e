// Pipeline bubbles against the published closed forms (DeepSeek-V3 report, arXiv:2412.19437v1,
// Table 2, and the DualPipe README), with F = I = W = c, B = I + W = 2 c, F&B whatever it is:
//     gpipe, 1f1b, interleaved_1f1b   (P - 1) (F + B)              = (P - 1) 3 c
//     zb1p                            (P - 1) (F + B - 2 W)        = (P - 1) c
//     dualpipe, P stages              (P/2 - 1) (F&B + B - 3 W)    = (P/2 - 1) (F&B - c)
//     dualpipe_v, 2 P stages          (P - 1) (F&B + B - 3 W)      = (P - 1) (F&B - c)
// on the rank with the largest bubble, to the last bit.

#include <algorithm>

#include "training/schedule_timing.hpp"

using namespace orrery;

namespace {

double worst_bubble(const PipelineSchedule& schedule, const PassCosts& costs) {
    const ScheduleTiming timing = time_schedule(schedule, costs);
    return *std::max_element(timing.bubble.begin(), timing.bubble.end());
}

PipelineSchedule make(const char* name, int ranks, int micro_batches, int chunks = 0) {
    return make_schedule(name, {.ranks = ranks, .micro_batches = micro_batches, .chunks = chunks});
}

// Pass lengths and pairs from a perfect overlap (F&B = B) to none (F&B = F + B).
const PassCosts kEqualCosts[] = {{1, 1, 1, 2}, {1, 1, 1, 2.5}, {1, 1, 1, 3}, {7, 7, 7, 17}};

}  // namespace

TEST(BubbleClosedForm, GpipeAnd1f1b) {
    for (const PassCosts& costs : kEqualCosts) {
        for (const int ranks : {1, 2, 3, 8, 16}) {
            for (const int micro_batches : {1, ranks, 4 * ranks + 1}) {
                const double form = (ranks - 1) * 3 * costs.forward;
                EXPECT_EQ(worst_bubble(make("gpipe", ranks, micro_batches), costs), form);
                EXPECT_EQ(worst_bubble(make("1f1b", ranks, micro_batches), costs), form);
            }
        }
    }
}

// Costs are per chunk: against stages V times as long the bubble is V times shorter.
TEST(BubbleClosedForm, Interleaved) {
    for (const PassCosts& costs : kEqualCosts) {
        for (const int ranks : {1, 2, 4, 7}) {
            for (const int chunks : {2, 3, 5}) {
                EXPECT_EQ(worst_bubble(make("interleaved_1f1b", ranks, 3 * ranks, chunks), costs),
                          (ranks - 1) * 3 * costs.forward);
            }
        }
    }
}

TEST(BubbleClosedForm, Zb1p) {
    for (const PassCosts& costs : kEqualCosts) {
        for (const int ranks : {1, 2, 3, 8, 16}) {
            for (const int micro_batches : {ranks, ranks + 1, 5 * ranks}) {
                EXPECT_EQ(worst_bubble(make("zb1p", ranks, micro_batches), costs),
                          (ranks - 1) * costs.forward);
            }
        }
    }
}

TEST(BubbleClosedForm, DualPipe) {
    for (const PassCosts& costs : kEqualCosts) {
        for (const int ranks : {2, 4, 6, 8, 16}) {
            for (const int micro_batches : {2 * ranks, 2 * ranks + 2, 5 * ranks}) {
                EXPECT_EQ(worst_bubble(make("dualpipe", ranks, micro_batches), costs),
                          (ranks / 2 - 1) * (costs.forward_backward - costs.forward));
            }
        }
    }
}

TEST(BubbleClosedForm, DualPipeV) {
    for (const PassCosts& costs : kEqualCosts) {
        for (const int ranks : {1, 2, 3, 8}) {
            for (const int micro_batches : {2 * ranks, 2 * ranks + 1, 5 * ranks}) {
                EXPECT_EQ(worst_bubble(make("dualpipe_v", ranks, micro_batches), costs),
                          (ranks - 1) * (costs.forward_backward - costs.forward));
            }
        }
    }
}

// ZB-V at F = I = W: no rank idles between its first and its last pass; what is left of makespan -
// busy is that rank r starts r passes late: P - 1 in all.
TEST(BubbleClosedForm, ZbVIsZeroInsideARank) {
    for (const int ranks : {1, 2, 4, 8}) {
        const PipelineSchedule s = make("zb_v", ranks, 3 * ranks);
        const ScheduleTiming t = time_schedule(s, {1, 1, 1, 3});
        for (std::size_t r = 0; r < s.actions.size(); ++r) {
            EXPECT_EQ(t.actions[r].back().end - t.actions[r].front().start, t.busy[r]);
            EXPECT_EQ(t.bubble[r], ranks - 1);
        }
    }
}

// closed_form_bubble gives these forms at any costs, and says where there is none.
TEST(BubbleClosedForm, TheFunctionSaysTheSame) {
    const PassCosts costs{2, 3, 5, 11};  // B = 8
    EXPECT_EQ(closed_form_bubble(make("1f1b", 4, 8), costs), 3 * (2 + 8));
    EXPECT_EQ(closed_form_bubble(make("interleaved_1f1b", 4, 8), costs), 3 * (2 + 8));
    EXPECT_EQ(closed_form_bubble(make("zb1p", 4, 8), costs), 3 * (2 + 8 - 10));
    EXPECT_EQ(closed_form_bubble(make("zb1p", 4, 3), costs), std::nullopt);
    EXPECT_EQ(closed_form_bubble(make("dualpipe", 8, 16), costs), 3 * (11 + 8 - 15));
    EXPECT_EQ(closed_form_bubble(make("dualpipe_v", 8, 16), costs), 7 * (11 + 8 - 15));
    EXPECT_EQ(closed_form_bubble(make("zb_v", 8, 16), costs), std::nullopt);
}
