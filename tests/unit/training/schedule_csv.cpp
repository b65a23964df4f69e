// PyTorch's schedule files: what it writes is read, what is written it reads.

#include "training/schedule_csv.hpp"

#include <random>

#include "core/error.hpp"
#include "schedule_text.hpp"
#include "training/schedule_check.hpp"
#include "training/schedule_timing.hpp"

using namespace orrery;

namespace {

std::string refusal(std::string_view text) {
    try {
        schedule_from_csv(text, "my.csv");
    } catch (const InputError& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST(ScheduleCsv, WritesPyTorchsNotation) {
    const PipelineSchedule s = make_schedule("dualpipe_v", {.ranks = 1, .micro_batches = 2});
    EXPECT_EQ(schedule_to_csv(s), "0F0,1F0,0F1,1B0,(1F1;0B0)OVERLAP_F_B,1B1,0I1,0W1\n");
}

// Stage s of direction 1 is written as stage 2 + s: rank 0 holds stage 0 and, of the second copy,
// stage 1, written 3.
TEST(ScheduleCsv, NumbersTheSecondDirectionBehindTheFirst) {
    const PipelineSchedule s = make_schedule("dualpipe", {.ranks = 2, .micro_batches = 4});
    EXPECT_EQ(schedule_to_csv(s),
              "0F0,3F2,0F1,3B2,(3F3;0B0)OVERLAP_F_B,3B3,0I1,0W1\n"
              "2F2,1F0,2F3,1B0,(1F1;2B2)OVERLAP_F_B,1B1,2I3,2W3\n");
}

TEST(ScheduleCsv, EverySchedulesTextComesBackTheSame) {
    for (const ScheduleKind& kind : schedule_kinds()) {
        PipelineSchedule made = make_schedule(kind.name, {.ranks = 4, .micro_batches = 12});
        const PipelineSchedule read = schedule_from_csv(schedule_to_csv(made), kind.name);
        EXPECT_EQ(read.actions, made.actions) << kind.name;
        EXPECT_EQ(read.stage_rank, made.stage_rank) << kind.name;
        EXPECT_EQ(read.stages, made.stages);
        EXPECT_EQ(read.ranks, made.ranks);
        EXPECT_EQ(read.micro_batches, made.micro_batches);
    }
}

// As PyTorch prints it: idle slots as empty cells, CRLF, communication actions in between.
TEST(ScheduleCsv, ReadsIdleSlotsAndSkipsCommunication) {
    const PipelineSchedule s = schedule_from_csv(
        "0UNSHARD,0F0,0SEND_F0,0F1,,,,0RECV_B0,0B0,,0B1,0REDUCE_GRAD\r\n"
        ",1RECV_F0,1F0,1I0,\"1W0\",1F1,1B1\r\n\r\n",
        "my.csv");
    EXPECT_EQ(s.name, "my.csv");
    EXPECT_EQ(staged_text(s.actions[0]), "F0@0 F1@0 B0@0 B1@0");
    EXPECT_EQ(staged_text(s.actions[1]), "F0@1 I0@1 W0@1 F1@1 B1@1");
    EXPECT_EQ(find_schedule_error(s), std::nullopt);
}

TEST(ScheduleCsv, Refusals) {
    EXPECT_EQ(refusal("\n \n"), "my.csv: no schedule in this file");
    EXPECT_EQ(refusal(",,\n"), "my.csv: no schedule in this file");
    EXPECT_EQ(refusal("0F0,0X0\n"),
              "my.csv: line 1 = \"0X0\": kind must be F, B, I, W or (...)OVERLAP_F_B");
    EXPECT_EQ(refusal("0F0\nF0\n"),
              "my.csv: line 2 = \"F0\": must be stage, kind, micro-batch as in 2F0, numbers below "
              "1000000");
    EXPECT_EQ(refusal("0F0,99999999999F0\n"),
              "my.csv: line 1 = \"99999999999F0\": must be stage, kind, micro-batch as in 2F0, "
              "numbers below 1000000");
    EXPECT_EQ(refusal("0F\n"), "my.csv: line 1 = \"0F\": the micro-batch is missing");
    EXPECT_EQ(refusal("0F0x\n"), "my.csv: line 1 = \"0F0x\": nothing may follow the micro-batch");
    EXPECT_EQ(refusal("(0F0;0F1)OVERLAP_F_B\n"),
              "my.csv: line 1 = \"(0F0;0F1)OVERLAP_F_B\": must hold one F and one B, as in "
              "(0F1;1B0)OVERLAP_F_B");
    EXPECT_EQ(refusal("(0F0;0B1\n"), "my.csv: line 1 = \"(0F0;0B1\": must end in )OVERLAP_F_B");
    EXPECT_EQ(refusal("0F0,0B0\n0F1,0B1\n"),
              "my.csv: stage 0 runs on line 1 and on line 2: a stage belongs to one rank");
    EXPECT_EQ(refusal("0F0,0B0\n2F0,2B0\n"), "my.csv: stage 1 of 3 never runs");
    EXPECT_EQ(refusal("0F0,0B0,0F900000,0B900000\n"),
              "my.csv: 1 stages and 900001 micro-batches but only 4 actions: some never run");
}

// A file with a few characters changed is refused, found illegal, or a schedule that can be timed.
TEST(ScheduleCsv, DamagedFilesAreHandled) {
    std::mt19937 random(3);
    const auto draw = [&](std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
    };
    const std::string whole =
        schedule_to_csv(make_schedule("dualpipe", {.ranks = 2, .micro_batches = 6}));
    const std::string_view letters = "0123456789FBIW,;()\nOV _";
    int legal = 0;
    for (int trial = 0; trial < 3000; ++trial) {
        std::string text = whole;
        for (std::size_t changes = 1 + draw(3); changes > 0; --changes) {
            const std::size_t at = draw(text.size());
            const std::size_t how = draw(3);
            if (how == 0) text.erase(at, 1 + draw(4));
            if (how == 1) text.insert(at, 1, letters[draw(letters.size())]);
            if (how == 2) text[at] = letters[draw(letters.size())];
        }
        try {
            const PipelineSchedule s = schedule_from_csv(text, "my.csv");
            if (find_schedule_error(s)) continue;
            EXPECT_GT(time_schedule(s, {}).makespan, 0.0);
            ++legal;
        } catch (const InputError& error) {
            EXPECT_TRUE(std::string(error.what()).starts_with("my.csv: "));
        }
    }
    EXPECT_LT(legal, 1000);
}
