#include "study/schedule_answer.hpp"

#include "core/error.hpp"

using namespace orrery;

namespace {

std::string refusal(std::string_view costs) {
    try {
        parse_pass_costs(costs);
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST(ScheduleAnswer, CostsAsText) {
    EXPECT_EQ(parse_pass_costs("F=1,B=1,W=1,FB=2.5"), (PassCosts{1, 1, 1, 2.5}));
    EXPECT_EQ(parse_pass_costs("W=32,FB=144,F=49,B=68"), (PassCosts{49, 68, 32, 144}));
    EXPECT_EQ(parse_pass_costs("F=2"), (PassCosts{2, 1, 1, 4}));  // FB = F + B + W
}

TEST(ScheduleAnswer, RefusedCostsNameThePart) {
    const std::string rule =
        ": must be F=, B=, W= or FB= and a number >= 0, each once, as in F=1,B=1,W=1,FB=2.5";
    EXPECT_EQ(refusal("F=1,G=2"), "--cost F=1,G=2: \"G=2\"" + rule);
    EXPECT_EQ(refusal("F=1,F=2"), "--cost F=1,F=2: \"F=2\"" + rule);
    for (const char* text : {"", "F", "F=", "F=x", "F=-1", "F=nan", "F=1,", "F=1 ,B=2", "=1"}) {
        EXPECT_NE(refusal(text).find(rule), std::string::npos) << text;
    }
}

// DeepSeek-V3's shape: the worst rank 987, the published form 7 (144 + 100 - 96) = 1036.
TEST(ScheduleAnswer, GivesBothBubbles) {
    const ScheduleAnswer a =
        answer_schedule("dualpipe", {.ranks = 16, .micro_batches = 120}, {49, 68, 32, 144});
    EXPECT_EQ(a.worst_bubble, 987);
    EXPECT_EQ(a.closed_form, 1036);
    EXPECT_EQ(a.closed_form_text, "(PP / 2 - 1) (F&B + B - 3 W)");
}

// What is exported is imported as the same schedule, with the same times and no published form.
TEST(ScheduleAnswer, FileGivesTheSameAnswer) {
    const PassCosts costs{1, 1, 1, 2.5};
    const ScheduleAnswer made =
        answer_schedule("dualpipe", {.ranks = 8, .micro_batches = 20}, costs);
    const ScheduleAnswer read = answer_schedule_file(schedule_file_text(made), "my.csv", costs);
    EXPECT_EQ(read.schedule.name, "my.csv");
    EXPECT_EQ(read.timing.bubble, made.timing.bubble);
    EXPECT_EQ(read.timing.in_flight, made.timing.in_flight);
    EXPECT_EQ(schedule_picture(read, false), schedule_picture(made, false));
    EXPECT_EQ(read.closed_form, std::nullopt);
}

TEST(ScheduleAnswer, IllegalFileIsRefusedWithTheRankAndAction) {
    try {
        answer_schedule_file("0F0,0B0,0F1,0B1\n1F1,1F0,1B0,1B1\n", "my.csv", {});
        FAIL();
    } catch (const InputError& error) {
        EXPECT_STREQ(
            error.what(),
            "schedule my.csv: rank 0, action 1 (B of micro-batch 0 on stage 0): waits for I "
            "of micro-batch 0 on stage 1, which rank 1 never reaches (deadlock)");
    }
}
