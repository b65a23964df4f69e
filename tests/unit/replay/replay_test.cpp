#include "replay/replay.hpp"

#include "builders.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

using namespace test;

ReplayResult run_all(const ReplayInput& input, bool folded = true) {
    ReplayOptions options;
    options.fold = folded;
    return replay(input, options);
}

// Two segments one after the other on one rank: 15 + 7.
TEST(Replay, StreamsRunInOrder) {
    ReplayInput input = make_input(1, 1);
    const SegmentId a = input.segments.add(std::vector{op(10), op(5)});
    const SegmentId b = input.segments.add(std::vector{op(7)});
    input.programs[0].stream(Stream::compute) = {run(a), run(b)};
    const ReplayResult result = run_all(input);
    EXPECT_EQ(result.makespan_ps, 22);
    EXPECT_EQ(result.operators, 3);
    EXPECT_EQ(result.segments, 2);
}

// Compute of 100 alone, 200 beside moving data. The collective starts after a first segment of 30
// and moves for 60: in it 60 / 200 of the work is done, i.e. 30 of 100; 70 are left at 90 -> 160.
TEST(Replay, ComputeSlowsWhileCommunicationMovesBesideIt) {
    ReplayInput input = make_input(1, 1);
    const SegmentId first = input.segments.add(std::vector{op(30)});
    const SegmentId work = input.segments.add(std::vector{op(100, 100, 200)});
    input.collectives.push_back({60, Group::expert, 1, 2, "dispatch"});
    input.programs[0].stream(Stream::compute) = {run(first), run(work)};
    input.programs[0].stream(Stream::communication) = {collective(0, Stream::compute, 1)};
    EXPECT_EQ(run_all(input).makespan_ps, 160);
}

// The same in the middle of a segment: 20 alone, then 60 beside (30 of 100), 50 left -> 130.
TEST(Replay, EnvironmentChangesInTheMiddleOfASegment) {
    ReplayInput input = make_input(1, 1);
    const SegmentId cast = input.segments.add(std::vector{op(20)});
    const SegmentId work = input.segments.add(std::vector{op(100, 100, 200)});
    input.collectives.push_back({60, Group::expert, 1, 2, "dispatch"});
    input.programs[0].stream(Stream::compute) = {run(work)};
    input.programs[0].stream(Stream::communication) = {run(cast), collective(0)};
    EXPECT_EQ(run_all(input).makespan_ps, 130);
}

// A message of 30 leaves at 10; the sender's second segment of 5 waits for it: 10 + 30 + 5.
TEST(Replay, WaitHoldsBackWhatIsBehindIt) {
    ReplayInput input = make_input(2, 1);
    const SegmentId first = input.segments.add(std::vector{op(10)});
    const SegmentId second = input.segments.add(std::vector{op(5)});
    input.messages.push_back({30, 1, 0});
    input.programs[0].stream(Stream::send) = {send(0, 1)};
    input.programs[0].stream(Stream::compute) = {
        run(first), {InstructionKind::wait, Stream::send, 1, 0, 0}, run(second)};
    input.programs[1].slots = 1;
    input.programs[1].stream(Stream::compute) = {receive(0)};
    EXPECT_EQ(run_all(input).of_rank(0).end_ps, 45);
}

// Two lanes of one program, whose first segment differs: 10 and 50. They meet at 50 in a collective
// that differs with neither, move 5, and the first has waited 40. Same variants fold, others do
// not.
TEST(Replay, RanksOfOneProgramMayHaveWorkOfTheirOwn) {
    ReplayInput input = make_input(1, 4);
    const SegmentId first = input.segments.add(std::vector{op(10)});
    input.segments.add(std::vector{op(50)});
    input.segments.repeat(first, 2);
    input.collectives.push_back({5, Group::expert, 1, 2, "dispatch"});
    input.programs[0].stream(Stream::compute) = {run(first)};
    input.programs[0].stream(Stream::compute).front().varies = true;
    input.programs[0].stream(Stream::communication) = {collective(0, Stream::compute, 1)};
    for (std::uint32_t lane = 0; lane < 4; ++lane) input.ranks[lane].segment_variant = lane % 2;
    input.ranks[3].segment_variant = 3;  // the second one's copy
    for (const bool folded : {true, false}) {
        const ReplayResult result = run_all(input, folded);
        EXPECT_EQ(result.makespan_ps, 55);
        EXPECT_EQ(result.of_rank(0).barrier_ps[0], 40);
        EXPECT_EQ(result.of_rank(1).barrier_ps[0], 0);
        EXPECT_EQ(result.of_rank(3).barrier_ps[0], 0);
        EXPECT_EQ(result.classes.size(), folded ? 3U : 4U);
        EXPECT_EQ(result.fingerprint, run_all(input, !folded).fingerprint);
    }
}

// A collective of two pipeline ranks (group none) moves when the later one arrives: at 50, ends at
// 60; rank 0, there since 10, has waited 40.
TEST(Replay, CollectiveWaitsForItsLastMember) {
    ReplayInput input = make_input(2, 1);
    const SegmentId early = input.segments.add(std::vector{op(10)});
    const SegmentId late = input.segments.add(std::vector{op(50)});
    input.collectives.push_back({10, Group::none, 1, 2, "all_reduce"});
    input.programs[0].stream(Stream::compute) = {run(early)};
    input.programs[1].stream(Stream::compute) = {run(late)};
    for (RankProgram& p : input.programs) {
        p.stream(Stream::communication) = {collective(0, Stream::compute, 1)};
    }
    const ReplayResult result = run_all(input);
    EXPECT_EQ(result.makespan_ps, 60);
    EXPECT_EQ(result.of_rank(0).barrier_ps[0], 40);
    EXPECT_EQ(result.of_rank(1).barrier_ps[0], 0);
}

// Compute beside a waiting kernel uses that environment: rank 0 waits from 0 to 50 with its compute
// at 100 x 110 / 100; 50 / 110 of the work done, then moving for 22 at 200 per 100.
// left after 50: ceil((110 - 50) x 200 / 110) = ceil(109.09) = 110 of 200; 22 done: 88 left in that
// environment -> alone ceil(88 x 100 / 200) = 44 from 72 -> 116.
TEST(Replay, WaitingAndMovingAreDifferentEnvironments) {
    ReplayInput input = make_input(2, 1);
    const SegmentId work = input.segments.add(std::vector{op(100, 110, 200)});
    const SegmentId late = input.segments.add(std::vector{op(50)});
    input.collectives.push_back({22, Group::none, 1, 2, "all_reduce"});
    input.programs[0].stream(Stream::compute) = {run(work)};
    input.programs[0].stream(Stream::communication) = {collective(0)};
    input.programs[1].stream(Stream::compute) = {run(late)};
    input.programs[1].stream(Stream::communication) = {collective(0, Stream::compute, 1)};
    EXPECT_EQ(run_all(input).of_rank(0).end_ps, 116);
}

// Rank 0 computes 10 and sends for 5; rank 1 waits for the message, then computes 20: 35.
TEST(Replay, MessageDelaysItsReceiver) {
    ReplayInput input = make_input(2, 1);
    const SegmentId a = input.segments.add(std::vector{op(10)});
    const SegmentId b = input.segments.add(std::vector{op(20)});
    input.messages.push_back({5, 1, 0});
    input.programs[0].stream(Stream::compute) = {run(a)};
    input.programs[0].stream(Stream::send) = {send(0, 1)};
    input.programs[1].slots = 1;
    input.programs[1].stream(Stream::compute) = {receive(0), run(b)};
    const ReplayResult result = run_all(input);
    EXPECT_EQ(result.makespan_ps, 35);
    EXPECT_EQ(result.of_rank(1).message_wait_ps, 15);
}

TEST(Replay, SlowRankScalesItsCompute) {
    ReplayInput input = make_input(1, 1);
    const SegmentId a = input.segments.add(std::vector{op(1000)});
    input.programs[0].stream(Stream::compute) = {run(a)};
    input.ranks[0].slowness = 1.5;
    EXPECT_EQ(run_all(input).makespan_ps, 1500);
}

TEST(Replay, MissingMessageIsADeadlockThatNamesTheRank) {
    ReplayInput input = make_input(1, 1);
    input.programs[0].slots = 1;
    input.programs[0].stream(Stream::compute) = {receive(0)};
    try {
        run_all(input);
        FAIL() << "no error";
    } catch (const SimulationError& e) {
        EXPECT_STREQ(e.what(), "deadlock: rank 0, compute stream: waits for message 0 (test)");
    }
}

TEST(Replay, AbsentPeerIsADeadlock) {
    ReplayInput input = make_input(2, 1);
    input.collectives.push_back({10, Group::none, 1, 2, "all_reduce"});
    input.programs[0].stream(Stream::communication) = {collective(0)};
    EXPECT_THROW(run_all(input), SimulationError);
}

// Two replays of one input in one process do not disturb each other.
TEST(Replay, RepeatsExactly) {
    ReplayInput input = make_input(1, 4);
    const SegmentId a = input.segments.add(std::vector{op(10), op(5)});
    input.programs[0].stream(Stream::compute) = {run(a)};
    input.jitter = 0.1;
    const ReplayResult first = run_all(input);
    EXPECT_EQ(first.fingerprint, run_all(input).fingerprint);
    EXPECT_EQ(first.folding.classes.size(), 4U);
}

}  // namespace
}  // namespace orrery
