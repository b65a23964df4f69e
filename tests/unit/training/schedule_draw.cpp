#include "training/schedule_draw.hpp"

using namespace orrery;

namespace {

const PipelineSchedule& two_ranks() {
    static const PipelineSchedule s = make_schedule("1f1b", {.ranks = 2, .micro_batches = 2});
    return s;
}

}  // namespace

// F 1, B 1 + 1: "F0 " needs three columns a unit. rank 0: F0 0-1, F1 1-2, idle 2-4, B0 4-6, idle
// 6-7, B1 7-9; rank 1: idle 0-1, F0 1-2, B0 2-4, F1 4-5, B1 5-7, idle 7-9.
TEST(ScheduleDraw, CellsStandAtTheirTime) {
    EXPECT_EQ(draw_schedule(two_ranks(), time_schedule(two_ranks(), {1, 1, 1, 0})),
              "rank 0 |F0 F1 ......B0    ...B1    |\n"
              "rank 1 |...F0 B0    F1 B1    ......|\n");
}

// 18 columns for 9 units: two a unit, labels cut to one letter and a blank where they do not fit.
TEST(ScheduleDraw, NarrowerThanTheLabels) {
    DrawOptions options;
    options.most_columns = 18;
    EXPECT_EQ(draw_schedule(two_ranks(), time_schedule(two_ranks(), {1, 1, 1, 0}), options),
              "rank 0 |F F ....B0  ..B1  |\n"
              "rank 1 |..F B0  F B1  ....|\n");
}

// dualpipe_v, 1 rank, 2 micro-batches: F0 on both chunks, F1, B0 on the second, the pair, B1 on the
// second, I1 and W1 on the first; F 1, I 1, W 1, F&B 2, and "F0b " needs four columns a unit.
TEST(ScheduleDraw, LaterChunksHaveALetter) {
    const PipelineSchedule s = make_schedule("dualpipe_v", {.ranks = 1, .micro_batches = 2});
    EXPECT_EQ(draw_schedule(s, time_schedule(s, {1, 1, 1, 2})),
              "rank 0 |F0  F0b F1  B0b     F1b&B0  B1b     I1  W1  |\n");
}

TEST(ScheduleDraw, Colours) {
    const PipelineSchedule s = make_schedule("1f1b", {.ranks = 1, .micro_batches = 1});
    DrawOptions options;
    options.colour = true;
    EXPECT_EQ(draw_schedule(s, time_schedule(s, {1, 1, 0, 0}), options),
              "rank 0 |\x1b[30;44mF0 \x1b[0m\x1b[30;42mB0 \x1b[0m|\n");
}

TEST(ScheduleDraw, WithoutDurations) {
    EXPECT_EQ(draw_schedule(two_ranks(), time_schedule(two_ranks(), {0, 0, 0, 0})),
              "nothing takes any time\n");
}
