#include "des/simulator.hpp"

#include "core/error.hpp"

namespace orrery {
namespace {

// Writes down what happens: the target of each event, -1 for the end of a timestamp.
struct Recorder {
    Simulator* simulator;
    std::vector<int> log;
    int extra_rounds = 0;       // end_of_timestamp() schedules this often at the current time
    std::uint32_t chained = 0;  // the handler of target 0 schedules target `chained` now, once

    void handle(const Event& event) {
        log.push_back(static_cast<int>(event.target));
        if (event.target == 0 && chained != 0) {
            simulator->schedule(simulator->now(), 0, std::exchange(chained, 0));
        }
    }
    void end_of_timestamp() {
        log.push_back(-1);
        if (extra_rounds > 0) {
            --extra_rounds;
            simulator->schedule(simulator->now(), 0, 100);
        }
    }
};

// Time 10: events 0 and 1, and 7 that 0 schedules there; then one end. Time 20: event 2, one end.
TEST(Simulator, AllOfATimestampThenItsEnd) {
    Simulator simulator;
    Recorder recorder{&simulator, {}, 0, 7};
    simulator.schedule(SimTime{20}, 0, 2);
    simulator.schedule(SimTime{10}, 0, 0);
    simulator.schedule(SimTime{10}, 0, 1);
    const RunCounts counts = simulator.run(recorder);
    EXPECT_EQ(recorder.log, (std::vector<int>{0, 1, 7, -1, 2, -1}));
    EXPECT_EQ(counts.events, 4);
    EXPECT_EQ(counts.rounds, 2);
    EXPECT_EQ(counts.timestamps, 2);
    EXPECT_EQ(counts.stopped, StopReason::drained);
    EXPECT_EQ(simulator.now(), SimTime{20});
}

// The end of time 10 schedules at 10 twice: three rounds at one timestamp.
TEST(Simulator, EndOfTimestampMayOpenAnotherRound) {
    Simulator simulator;
    Recorder recorder{&simulator, {}, 2};
    simulator.schedule(SimTime{10}, 0, 3);
    const RunCounts counts = simulator.run(recorder);
    EXPECT_EQ(recorder.log, (std::vector<int>{3, -1, 100, -1, 100, -1}));
    EXPECT_EQ(counts.rounds, 3);
    EXPECT_EQ(counts.timestamps, 1);
}

// Ties 0, 1, 2 reversed: 2, 1, 0, and 7, scheduled now by 0, right after it.
TEST(Simulator, ReversedTies) {
    Simulator simulator({.reverse_ties = true});
    Recorder recorder{&simulator, {}, 0, 7};
    for (std::uint32_t i = 0; i < 3; ++i) simulator.schedule(SimTime{10}, 0, i);
    simulator.schedule(SimTime{20}, 0, 5);
    simulator.run(recorder);
    EXPECT_EQ(recorder.log, (std::vector<int>{2, 1, 0, 7, -1, 5, -1}));
}

// Times 10, 20, 30: until 20 handles two; the second call handles the third.
TEST(Simulator, StopsAtUntilAndGoesOn) {
    Simulator simulator;
    Recorder recorder{&simulator, {}};
    for (std::uint32_t i = 1; i <= 3; ++i) simulator.schedule(SimTime{10 * i}, 0, i);
    EXPECT_EQ(simulator.run(recorder, SimTime{20}).stopped, StopReason::until);
    EXPECT_EQ(simulator.pending(), 1U);
    EXPECT_EQ(simulator.now(), SimTime{20});
    simulator.schedule(SimTime{25}, 0, 4);
    EXPECT_EQ(simulator.run(recorder).stopped, StopReason::drained);
    EXPECT_EQ(recorder.log, (std::vector<int>{1, -1, 2, -1, 4, -1, 3, -1}));
}

TEST(Simulator, SchedulingInThePastIsAnError) {
    Simulator simulator;
    Recorder recorder{&simulator, {}};
    EXPECT_THROW(simulator.schedule(SimTime{-1}, 0, 0), SimulationError);
    simulator.schedule(SimTime{10}, 0, 1);
    simulator.run(recorder);
    EXPECT_THROW(simulator.schedule(SimTime{9}, 0, 0), SimulationError);
}

// 10^6 rounds at one timestamp are allowed, one more is an error.
TEST(Simulator, TimeThatStandsStillIsAnError) {
    Simulator simulator;
    Recorder recorder{&simulator, {}, 999'999};
    simulator.schedule(SimTime{10}, 0, 3);
    EXPECT_EQ(simulator.run(recorder).rounds, 1'000'000);
    recorder.extra_rounds = 1'000'000;
    simulator.schedule(SimTime{11}, 0, 3);
    EXPECT_THROW(simulator.run(recorder), SimulationError);
}

// Handlers that schedule at the current time for ever never reach the end of the round.
TEST(Simulator, EndlessChainAtOneTimeIsAnError) {
    struct Endless {
        Simulator* simulator;
        void handle(const Event& event) { simulator->schedule(simulator->now(), 0, event.target); }
        void end_of_timestamp() {}
    };
    Simulator simulator({.max_events_at_once = 1'000'000});
    Endless endless{&simulator};
    simulator.schedule(SimTime{10}, 0, 3);
    EXPECT_THROW(simulator.run(endless), SimulationError);
}

// Ticks once a picosecond until told to stop.
struct Clock {
    Simulator* simulator;
    std::int64_t stop_at;
    void handle(const Event& event) {
        simulator->schedule(SimTime{event.time_ps + 1}, event.kind(), event.target,
                            event.generation() + 1);
    }
    bool end_of_timestamp() const { return simulator->now().ps < stop_at; }
};

TEST(Simulator, SystemMayStopTheRun) {
    Simulator simulator;
    Clock clock{&simulator, 5};
    simulator.schedule(SimTime{1}, 0, 0);
    const RunCounts counts = simulator.run(clock);
    EXPECT_EQ(counts.stopped, StopReason::system);
    EXPECT_EQ(counts.events, 5);
    EXPECT_EQ(simulator.now(), SimTime{5});
}

// Polls at 65,536 and 131,072 events; the second one stops the run.
TEST(Simulator, PollMayStopTheRun) {
    std::vector<std::int64_t> polled;
    Simulator simulator({.poll = [&](SimTime now, std::int64_t events) {
        EXPECT_EQ(now.ps, events);
        polled.push_back(events);
        return polled.size() < 2;
    }});
    Clock clock{&simulator, 1'000'000};
    simulator.schedule(SimTime{1}, 0, 0);
    const RunCounts counts = simulator.run(clock);
    EXPECT_EQ(counts.stopped, StopReason::interrupted);
    EXPECT_EQ(polled, (std::vector<std::int64_t>{65'536, 131'072}));
    EXPECT_EQ(counts.events, 131'072);
}

}  // namespace
}  // namespace orrery
