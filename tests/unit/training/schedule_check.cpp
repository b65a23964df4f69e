// The legality check: every schedule of random shape passes, every way of breaking one is named.

#include "training/schedule_check.hpp"

#include <random>

#include "core/error.hpp"
#include "schedule_text.hpp"

using namespace orrery;

namespace {

PipelineSchedule small() { return make_schedule("zb1p", {.ranks = 3, .micro_batches = 4}); }

}  // namespace

TEST(ScheduleCheck, RandomShapesAreLegal) {
    std::mt19937 random(7);
    const auto draw = [&](int least, int most) {
        return std::uniform_int_distribution<int>(least, most)(random);
    };
    for (int trial = 0; trial < 60; ++trial) {
        for (const ScheduleKind& kind : schedule_kinds()) {
            ScheduleShape shape{.ranks = draw(1, 12), .micro_batches = draw(1, 40)};
            if (kind.name == "dualpipe") {
                shape.ranks = 2 * draw(1, 6);
                shape.micro_batches = 2 * (shape.ranks + draw(0, 15));
            } else if (kind.name == "dualpipe_v") {
                shape.micro_batches = 2 * shape.ranks + draw(0, 15);
            } else if (kind.name == "interleaved_1f1b") {
                shape.micro_batches = shape.ranks * draw(1, 6);
                shape.chunks = draw(2, 5);
            }
            const PipelineSchedule schedule = make_schedule(kind.name, shape);
            EXPECT_EQ(find_schedule_error(schedule), std::nullopt)
                << kind.name << " " << shape.ranks << " x " << shape.micro_batches << " x "
                << shape.chunks;
        }
    }
}

TEST(ScheduleCheck, PassMissing) {
    PipelineSchedule s = small();
    s.actions[1].pop_back();
    EXPECT_EQ(find_schedule_error(s), "rank 1: W of micro-batch 3 on stage 1 never runs");
    EXPECT_THROW(check_schedule(s), InputError);
}

// zb1p, rank 1: "F0 F1 I0 ..."; a third F0 in front of action 1.
TEST(ScheduleCheck, PassTwice) {
    PipelineSchedule s = small();
    s.actions[1].insert(s.actions[1].begin() + 1, s.actions[1][0]);
    EXPECT_EQ(find_schedule_error(s),
              "rank 1, action 1 (F of micro-batch 0 on stage 1): F of micro-batch 0 on stage 1 "
              "runs a second time");
}

// A full backward is an I and a W: the W of rank 0's action 4 comes on top of B's.
TEST(ScheduleCheck, FullBackwardCountsAsBoth) {
    PipelineSchedule s = small();
    s.actions[0][3].kind = ActionKind::backward;
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 4 (W of micro-batch 0 on stage 0): W of micro-batch 0 on stage 0 "
              "runs a second time");
}

TEST(ScheduleCheck, WrongRankOrOutOfRange) {
    PipelineSchedule s = small();
    s.actions[0][0].stage = 2;
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 0 (F of micro-batch 0 on stage 2): stage 2 of micro-batch 0 belongs "
              "to rank 2");
    s.actions[0][0].stage = 3;
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 0 (F of micro-batch 0 on stage 3): stage 3 of 3");
    s.actions[0][0] = make_action(ActionKind::forward, 4, 0);
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 0 (F of micro-batch 4 on stage 0): micro-batch 4 of 4");
}

// zb1p, rank 2: "F0 I0 ... I2 W0 ..."; I0 and W0 exchanged.
TEST(ScheduleCheck, WeightBeforeItsInput) {
    PipelineSchedule s = small();
    ASSERT_EQ(short_text(s.actions[2]).substr(0, 24), "F0 I0 F1 I1 F2 I2 W0 F3 ");
    std::swap(s.actions[2][1], s.actions[2][6]);
    EXPECT_EQ(find_schedule_error(s),
              "rank 2, action 1 (W of micro-batch 0 on stage 2): waits for I of micro-batch 0 on "
              "stage 2, which comes later on the same rank");
}

// Two ranks: rank 0 wants B0 before F1, rank 1 wants F1 before B0: each waits for the other.
TEST(ScheduleCheck, Deadlock) {
    PipelineSchedule s = make_schedule("gpipe", {.ranks = 2, .micro_batches = 2});
    std::swap(s.actions[0][1], s.actions[0][2]);
    ASSERT_EQ(short_text(s.actions[0]), "F0 B0 F1 B1");
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 1 (B of micro-batch 0 on stage 0): waits for I of micro-batch 0 on "
              "stage 1, which rank 1 never reaches (deadlock)");
}

// F and B of the same micro-batch on the last stage cannot overlap.
TEST(ScheduleCheck, PairThatNeedsItself) {
    PipelineSchedule s = make_schedule("1f1b", {.ranks = 1, .micro_batches = 1});
    s.actions[0] = {make_overlapped(s.actions[0][0], s.actions[0][1])};
    EXPECT_EQ(find_schedule_error(s),
              "rank 0, action 0 (F of micro-batch 0 on stage 0 with B of micro-batch 0 on stage "
              "0): waits for F of micro-batch 0 on stage 0, which comes later on the same rank");
}

TEST(ScheduleCheck, ShapeOfTheData) {
    PipelineSchedule s = small();
    s.actions.pop_back();
    EXPECT_EQ(find_schedule_error(s), "2 lists of actions for 3 ranks");
    s = small();
    s.stage_rank[0][1] = 3;
    EXPECT_EQ(find_schedule_error(s), "a stage is placed on rank 3 of 3");
}
