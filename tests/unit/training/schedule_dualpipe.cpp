// DualPipe against what DeepSeek published: the picture at 8 ranks and 20 micro-batches, and the
// counts of each kind of pass at 16 ranks and 120 micro-batches.

#include <fstream>
#include <map>
#include <sstream>

#include "schedule_text.hpp"
#include "training/schedule_csv.hpp"
#include "training/schedule_draw.hpp"

using namespace orrery;

namespace {

std::string read_golden(const std::string& name) {
    std::ifstream file(std::string(ORRERY_SOURCE_DIR) + "/tests/golden/" + name);
    EXPECT_TRUE(file) << name;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::map<ActionKind, int> count(const std::vector<Action>& actions) {
    std::map<ActionKind, int> counts;
    for (const Action& action : actions) ++counts[action.kind];
    return counts;
}

const PipelineSchedule& published() {
    static const PipelineSchedule schedule =
        make_schedule("dualpipe", {.ranks = 8, .micro_batches = 20});
    return schedule;
}

}  // namespace

// P = 8, M = 20: H = 4, N = 10 each way, micro-batches 10-19 run against 0-9.
// Rank 0, h = 0: 1. 6 F0  2. F0 F1  3. 3 x I1 W F1  4. 3 x F0&B1 F1&B0  5. 3 x B1 F1&B0
//                6. B1 full, B0 split  7. 3 x W I0  8. one W left
TEST(DualPipe, OuterRankOfThePublishedPicture) {
    EXPECT_EQ(short_text(published().actions[0]),
              "F0 F1 F2 F3 F4 F5 "
              "F6 F10 "
              "I10 W10 F11 I11 W11 F12 I12 W12 F13 "
              "F7&B13 F14&B0 F8&B14 F15&B1 F9&B15 F16&B2 "
              "B16 F17&B3 B17 F18&B4 B18 F19&B5 "
              "B19 I6 "
              "W6 I7 W7 I8 W8 I9 "
              "W9");
}

// Rank 3, h = 3, in the middle: 2. 4 x F0 F1  4. 6 x F0&B1 F1&B0, the first F0 and B1 apart
//                6. 4 x B1 B0, split from the third on  8. four W left
TEST(DualPipe, MiddleRankOfThePublishedPicture) {
    EXPECT_EQ(short_text(published().actions[3]),
              "F0 F10 F1 F11 F2 F12 F3 F13 "
              "F4 B10 F14&B0 F5&B11 F15&B1 F6&B12 F16&B2 F7&B13 F17&B3 F8&B14 F18&B4 F9&B15 F19&B5 "
              "B16 B6 B17 B7 I18 I8 I19 I9 "
              "W18 W8 W19 W9");
}

// Rank 1, h = 1 (odd): step 6 runs B1 B0 full, then both split.
TEST(DualPipe, OddRankSplitsFromTheMiddleOfStepSix) {
    EXPECT_EQ(short_text(published().actions[1]),
              "F0 F1 F2 F3 F4 F10 F5 F11 "
              "I10 W10 F12 I11 W11 F13 "
              "F6&B12 F14&B0 F7&B13 F15&B1 F8&B14 F16&B2 F9&B15 F17&B3 "
              "B16 F18&B4 B17 F19&B5 "
              "B18 B6 I19 I7 "
              "W19 I8 W7 I9 "
              "W8 W9");
}

// The far half of the ranks mirrors the near half with the directions exchanged.
TEST(DualPipe, IsSymmetric) {
    for (std::size_t rank = 0; rank < 4; ++rank) {
        std::vector<Action> mirrored = published().actions[7 - rank];
        for (Action& action : mirrored) {
            action.micro_batch = (action.micro_batch + 10) % 20;
            action.backward_micro_batch = (action.backward_micro_batch + 10) % 20;
        }
        EXPECT_EQ(mirrored, published().actions[rank]);
    }
}

// All eight ranks: tests/golden/dualpipe_8x20.csv was written from the eight published steps by a
// separate program, in PyTorch's notation.
TEST(DualPipe, MatchesThePublishedPictureChunkByChunk) {
    EXPECT_EQ(schedule_to_csv(published()), read_golden("dualpipe_8x20.csv"));
}

TEST(DualPipe, DrawsThePublishedPicture) {
    const PassCosts costs{1, 1, 1, 2.5};
    EXPECT_EQ(draw_schedule(published(), time_schedule(published(), costs)),
              read_golden("dualpipe_8x20.txt"));
}

// Published counts per rank for 16 ranks and 120 micro-batches: half rank h, F alone, pairs,
// backwards alone (full or split), W alone. Rank 0's 23 backwards are 8 full and 15 split.
TEST(DualPipe, CountsAtDeepSeekV3) {
    const PipelineSchedule s = make_schedule("dualpipe", {.ranks = 16, .micro_batches = 120});
    const int published_counts[8][4] = {{23, 97, 23, 15},  {22, 98, 22, 14},  {21, 99, 21, 13},
                                        {20, 100, 20, 12}, {19, 101, 19, 11}, {18, 102, 18, 10},
                                        {17, 103, 17, 9},  {17, 103, 17, 8}};
    for (std::size_t rank = 0; rank < 16; ++rank) {
        const int* expected = published_counts[std::min(rank, 15 - rank)];
        auto counts = count(s.actions[rank]);
        EXPECT_EQ(counts[ActionKind::forward], expected[0]) << rank;
        EXPECT_EQ(counts[ActionKind::forward_backward], expected[1]) << rank;
        EXPECT_EQ(counts[ActionKind::backward] + counts[ActionKind::backward_input], expected[2]);
        EXPECT_EQ(counts[ActionKind::backward_weight], expected[3]) << rank;
    }
    EXPECT_EQ(count(s.actions[0])[ActionKind::backward], 8);
    EXPECT_EQ(count(s.actions[0])[ActionKind::backward_input], 15);
}
