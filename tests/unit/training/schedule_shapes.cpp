// Which shapes and names make_schedule takes, and how it refuses the others: one line.

#include "core/error.hpp"
#include "training/schedule.hpp"

using namespace orrery;

namespace {

std::string refusal(const char* name, int ranks, int micro_batches, int chunks = 0) {
    try {
        make_schedule(name, {.ranks = ranks, .micro_batches = micro_batches, .chunks = chunks});
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST(ScheduleShape, UnknownNameListsTheNames) {
    EXPECT_EQ(refusal("zigzag", 4, 8),
              "schedule \"zigzag\": must be one of gpipe, 1f1b, interleaved_1f1b, zb1p, zb_v, "
              "dualpipe, dualpipe_v");
    EXPECT_EQ(schedule_kinds().size(), 7u);
}

TEST(ScheduleShape, AbsurdSizes) {
    EXPECT_EQ(refusal("1f1b", 0, 8), "schedule 1f1b: ranks = 0: must be between 1 and 1000000");
    EXPECT_EQ(refusal("1f1b", 4, -1),
              "schedule 1f1b: micro-batches = -1: must be between 1 and 1000000");
    EXPECT_EQ(refusal("1f1b", 1000001, 8),
              "schedule 1f1b: ranks = 1000001: must be between 1 and 1000000");
    EXPECT_EQ(
        refusal("gpipe", 1000000, 1000000),
        "schedule gpipe: ranks x micro-batches x chunks = 1000000000000: must be <= 10000000");
}

TEST(ScheduleShape, ShapesThatDoNotDivide) {
    EXPECT_EQ(refusal("dualpipe", 7, 20), "schedule dualpipe: ranks = 7: must be even");
    EXPECT_EQ(refusal("dualpipe", 8, 21),
              "schedule dualpipe: micro-batches = 21: must be even, half in each direction");
    EXPECT_EQ(refusal("dualpipe", 8, 14),
              "schedule dualpipe: micro-batches = 14: must be >= 16, twice the ranks");
    EXPECT_EQ(refusal("dualpipe_v", 4, 7),
              "schedule dualpipe_v: micro-batches = 7: must be >= 8, twice the ranks");
    EXPECT_EQ(refusal("interleaved_1f1b", 4, 6),
              "schedule interleaved_1f1b: micro-batches = 6: must be a multiple of the 4 ranks");
    EXPECT_EQ(refusal("interleaved_1f1b", 4, 8, 1),
              "schedule interleaved_1f1b: chunks = 1: must be between 2 and 1024");
    EXPECT_EQ(refusal("1f1b", 4, 8, 2), "schedule 1f1b: chunks = 2: must be 1");
    EXPECT_EQ(refusal("zb_v", 4, 8, 3), "schedule zb_v: chunks = 3: must be 2");
}

TEST(ScheduleShape, SmallestOfEach) {
    for (const ScheduleKind& kind : schedule_kinds()) {
        const int ranks = kind.name == "dualpipe" ? 2 : 1;
        EXPECT_EQ(refusal(std::string(kind.name).c_str(), ranks, 2 * ranks), "") << kind.name;
    }
}
