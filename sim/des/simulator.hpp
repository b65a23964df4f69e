#pragma once
// The event loop. Everything at time t is handled in order of scheduling, events scheduled at t
// meanwhile included; then the system's end_of_timestamp() runs once and may schedule at t again,
// which opens another round at t. Time moves on when a round leaves nothing at t.

#include <cstdint>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "des/event_queue.hpp"

namespace orrery {

// What a simulation is made of. handle() changes the state of one component; end_of_timestamp()
// does what must see all changes of an instant at once (network shares, batch formation), and where
// it returns a bool, false stops the run. Both schedule through the simulator. Results may not
// depend on the order of events at one time: check with SimulatorOptions::reverse_ties.
template <class S>
concept System = requires(S& system, const Event& event) {
    system.handle(event);
    system.end_of_timestamp();
};

struct SimulatorOptions {
    // Handles events of equal time last in, first out. Tests use it to show that the order of ties
    // does not matter.
    bool reverse_ties = false;
    // Called about every 2^16 events with the current time and the events handled so far; returning
    // false stops the run after the current timestamp. For progress display and interrupts.
    std::function<bool(SimTime now, std::int64_t events)> poll = {};
    // Rounds, and events, at one timestamp beyond which the run is taken to be stuck.
    std::int64_t max_rounds = 1'000'000;
    std::int64_t max_events_at_once = 100'000'000;
};

enum class StopReason : std::uint8_t {
    drained,      // no events left
    until,        // the next event is later than asked for
    system,       // end_of_timestamp() returned false
    interrupted,  // poll returned false
};

// Totals of one run() call.
struct RunCounts {
    std::int64_t events = 0;      // handled
    std::int64_t rounds = 0;      // calls of end_of_timestamp()
    std::int64_t timestamps = 0;  // distinct times
    StopReason stopped = StopReason::drained;
};

class Simulator {
  public:
    static constexpr SimTime kForever{std::numeric_limits<std::int64_t>::max()};

    Simulator() = default;
    explicit Simulator(SimulatorOptions options) : options_(std::move(options)) {}

    // Time of the last event handled; 0 before the first.
    SimTime now() const { return now_; }
    // Events that wait.
    std::size_t pending() const { return queue_.size(); }

    // Throws SimulationError where `at` is before now(). `kind` is the system's own enumeration
    // with values below 256; `generation` is reduced modulo 2^24.
    template <class Kind>
    void schedule(SimTime at, Kind kind, std::uint32_t target, std::uint32_t generation = 0) {
        if (at < now_) fail_past(at, target);
        queue_.push(Event::make(at.ps, static_cast<std::uint8_t>(kind), target, generation));
    }

    // Handles all events up to and including `until`. May be called again to go on. Throws
    // SimulationError where time stands still: more than max_rounds rounds, or
    // max_events_at_once events, at one timestamp.
    template <System S>
    RunCounts run(S& system, SimTime until = kForever) {
        RunCounts counts;
        bool go_on = true;
        while (go_on && !queue_.empty()) {
            if (!queue_.due(until.ps)) {
                counts.stopped = StopReason::until;
                return counts;
            }
            go_on = run_timestamp(system, counts);
        }
        return counts;
    }

  private:
    static constexpr std::int64_t kPollPeriod = 1 << 16;

    template <System S>
    bool run_timestamp(S& system, RunCounts& counts) {
        Event event = queue_.pop();
        now_ = SimTime{event.time_ps};
        const std::int64_t events_before = counts.events;
        bool go_on = true;
        std::int64_t rounds = 0;
        do {
            if (options_.reverse_ties) {
                handle_ties_reversed(system, event, counts, events_before, go_on);
            } else {
                do {
                    system.handle(std::as_const(event));
                    count_event(counts, events_before, go_on);
                } while (queue_.pop_tie(event));
            }
            if (++rounds > options_.max_rounds) fail_stuck(rounds, "rounds", event);
            if (!end_of_timestamp(system)) {
                counts.stopped = StopReason::system;
                go_on = false;
            }
        } while (queue_.pop_tie(event));
        counts.rounds += rounds;
        ++counts.timestamps;
        return go_on;
    }

    // Last in, first out: an event scheduled for now is handled next.
    template <System S>
    void handle_ties_reversed(S& system, Event& event, RunCounts& counts,
                              std::int64_t events_before, bool& go_on) {
        stack_.assign(1, event);
        while (true) {
            while (queue_.pop_tie(event)) stack_.push_back(event);
            if (stack_.empty()) return;
            event = stack_.back();
            stack_.pop_back();
            system.handle(std::as_const(event));
            count_event(counts, events_before, go_on);
        }
    }

    template <System S>
    static bool end_of_timestamp(S& system) {
        if constexpr (std::is_same_v<decltype(system.end_of_timestamp()), bool>) {
            return system.end_of_timestamp();
        } else {
            system.end_of_timestamp();
            return true;
        }
    }

    void count_event(RunCounts& counts, std::int64_t events_before, bool& go_on) {
        if ((++counts.events & (kPollPeriod - 1)) == 0) [[unlikely]] {
            go_on = check(counts, counts.events - events_before) && go_on;
        }
    }
    // Every kPollPeriod events: false where the caller asked to stop.
    bool check(RunCounts& counts, std::int64_t events_at_once) const;
    [[noreturn]] void fail_stuck(std::int64_t count, const char* of_what, const Event& last) const;
    [[noreturn]] void fail_past(SimTime at, std::uint32_t target) const;

    EventQueue queue_;
    SimTime now_;
    SimulatorOptions options_;
    std::vector<Event> stack_;  // ties of the current timestamp, where they are reversed
};

}  // namespace orrery
