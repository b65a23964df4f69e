// The order of each schedule, worked out by hand from its definition.

#include "schedule_text.hpp"

using namespace orrery;

namespace {

PipelineSchedule make(const char* name, int ranks, int micro_batches, int chunks = 0) {
    return make_schedule(name, {.ranks = ranks, .micro_batches = micro_batches, .chunks = chunks});
}

}  // namespace

TEST(ScheduleOrder, GpipeRunsForwardsThenBackwards) {
    const PipelineSchedule s = make("gpipe", 2, 3);
    EXPECT_EQ(staged_text(s.actions[1]), "F0@1 F1@1 F2@1 B0@1 B1@1 B2@1");
}

// 4 ranks, 5 micro-batches: rank 0 runs 3 ahead, then F3 B0, F4 B1, and B2 B3 B4 are left; the last
// rank alternates from the start.
TEST(ScheduleOrder, OneForwardOneBackward) {
    const PipelineSchedule s = make("1f1b", 4, 5);
    EXPECT_EQ(short_text(s.actions[0]), "F0 F1 F2 F3 B0 F4 B1 B2 B3 B4");
    EXPECT_EQ(short_text(s.actions[2]), "F0 F1 B0 F2 B1 F3 B2 F4 B3 B4");
    EXPECT_EQ(short_text(s.actions[3]), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4");
}

// Fewer micro-batches than ranks: all forwards come first on the early ranks.
TEST(ScheduleOrder, OneForwardOneBackwardWithFewMicroBatches) {
    const PipelineSchedule s = make("1f1b", 4, 2);
    EXPECT_EQ(short_text(s.actions[0]), "F0 F1 B0 B1");
    EXPECT_EQ(short_text(s.actions[2]), "F0 F1 B0 B1");
    EXPECT_EQ(short_text(s.actions[3]), "F0 B0 F1 B1");
}

// 2 ranks, 2 chunks, 4 micro-batches: stages 0 2 on rank 0, 1 3 on rank 1. Forwards go 0 1 on chunk
// 0, 0 1 on chunk 1, 2 3 on chunk 0, 2 3 on chunk 1; backwards alike, chunk 1 first. Rank 0 runs
// 2 (2-1-0) + (2-1) 2 = 4 ahead, rank 1 2.
TEST(ScheduleOrder, Interleaved) {
    const PipelineSchedule s = make("interleaved_1f1b", 2, 4);
    EXPECT_EQ(s.stages, 4);
    EXPECT_EQ(staged_text(s.actions[0]),
              "F0@0 F1@0 F0@2 F1@2 F2@0 B0@2 F3@0 B1@2 F2@2 B0@0 F3@2 B1@0 B2@2 B3@2 B2@0 B3@0");
    EXPECT_EQ(staged_text(s.actions[1]),
              "F0@1 F1@1 F0@3 B0@3 F1@3 B1@3 F2@1 B0@1 F3@1 B1@1 F2@3 B2@3 F3@3 B3@3 B2@1 B3@1");
}

// 3 ranks, 4 micro-batches. Rank 0 delays no W; rank 2 delays each by two micro-batches and has F I
// alternate at the start, as 1F1B would with half the backward. When forwards are used up (after
// F3) each I is followed by one W whatever the delay.
TEST(ScheduleOrder, Zb1p) {
    const PipelineSchedule s = make("zb1p", 3, 4);
    EXPECT_EQ(short_text(s.actions[0]), "F0 F1 F2 I0 W0 F3 I1 W1 I2 W2 I3 W3");
    EXPECT_EQ(short_text(s.actions[1]), "F0 F1 I0 F2 I1 W0 F3 I2 W1 I3 W2 W3");
    EXPECT_EQ(short_text(s.actions[2]), "F0 I0 F1 I1 F2 I2 W0 F3 I3 W1 W2 W3");
}

// 2 ranks, 4 micro-batches, stages 0 3 on rank 0 and 1 2 on rank 1.
// Rank 0: 3 F down; 2 times F I W back; then F3 I0 W0 down, F2 I2 W2 back, and, forwards down used
// up, I1 W1 down, F3 I3 W3 back; 2 times I W down.
// Rank 1: 1 F down; F back, F down; 1 time F I W back; F I W down, F I W back twice (micro-batches
// 2 and 3 forwards, 0 1 down, 2... back); once I down, I back; once I W down; the weights left.
TEST(ScheduleOrder, ZbV) {
    const PipelineSchedule s = make("zb_v", 2, 4);
    EXPECT_EQ(staged_text(s.actions[0]),
              "F0@0 F1@0 F2@0 F0@3 I0@3 W0@3 F1@3 I1@3 W1@3 F3@0 I0@0 W0@0 F2@3 I2@3 W2@3 I1@0 "
              "W1@0 F3@3 I3@3 W3@3 I2@0 W2@0 I3@0 W3@0");
    EXPECT_EQ(staged_text(s.actions[1]),
              "F0@1 F0@2 F1@1 F1@2 I0@2 W0@2 F2@1 I0@1 W0@1 F2@2 I1@2 W1@2 F3@1 I1@1 W1@1 F3@2 "
              "I2@2 W2@2 I2@1 I3@2 I3@1 W2@1 W3@2 W3@1");
}

// 2 ranks, 4 micro-batches (2 each way): every rank is in the middle. H = 1, h = 0, N = 2:
// 2. F0 F2   4. once: F1 and B2 apart, F3&B0   6. B3 full, I1   8. W1
TEST(ScheduleOrder, DualPipeSmallest) {
    const PipelineSchedule s = make("dualpipe", 2, 4);
    EXPECT_EQ(staged_text(s.actions[0]), "F0@0 F2@1 F1@0 B2@1 F3@1&B0@0 B3@1 I1@0 W1@0");
    EXPECT_EQ(staged_text(s.actions[1]), "F2@0 F0@1 F3@0 B0@1 F1@1&B2@0 B1@1 I3@0 W3@0");
}

// 1 rank, 2 micro-batches: the same steps with stages 0 and 1 of one model on one rank.
TEST(ScheduleOrder, DualPipeVSmallest) {
    const PipelineSchedule s = make("dualpipe_v", 1, 2);
    EXPECT_EQ(staged_text(s.actions[0]), "F0@0 F0@1 F1@0 B0@1 F1@1&B0@0 B1@1 I1@0 W1@0");
}

// Rank r runs in DualPipeV what it runs in DualPipe of twice the ranks, the way back in place of
// the other direction.
TEST(ScheduleOrder, DualPipeVIsHalfOfDualPipe) {
    const PipelineSchedule half = make("dualpipe_v", 4, 10);
    const PipelineSchedule whole = make("dualpipe", 8, 20);
    for (std::size_t rank = 0; rank < 4; ++rank) {
        ASSERT_EQ(half.actions[rank].size(), whole.actions[rank].size());
        for (std::size_t i = 0; i < half.actions[rank].size(); ++i) {
            Action expected = whole.actions[rank][i];
            expected.micro_batch %= 10;
            expected.backward_micro_batch %= 10;
            EXPECT_EQ(half.actions[rank][i], expected);
        }
    }
}

TEST(ScheduleOrder, PlacementsSayWhoRunsWhat) {
    EXPECT_EQ(make("1f1b", 4, 4).rank_of(3, 2), 2);
    EXPECT_EQ(make("interleaved_1f1b", 4, 4, 3).rank_of(0, 9), 1);
    EXPECT_EQ(make("zb_v", 4, 4).rank_of(0, 3), 3);
    EXPECT_EQ(make("zb_v", 4, 4).rank_of(0, 7), 0);
    EXPECT_EQ(make("dualpipe", 8, 20).rank_of(9, 1), 1);
    EXPECT_EQ(make("dualpipe", 8, 20).rank_of(10, 1), 6);
}
