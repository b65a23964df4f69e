#include "des/simulator.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

bool Simulator::check(RunCounts& counts, std::int64_t events_at_once) const {
    if (events_at_once > options_.max_events_at_once) {
        throw SimulationError(fmt::format("time stands still at {} ps: {} events at one time",
                                          now_.ps, events_at_once));
    }
    if (!options_.poll || options_.poll(now_, counts.events)) return true;
    counts.stopped = StopReason::interrupted;
    return false;
}

void Simulator::fail_stuck(std::int64_t count, const char* of_what, const Event& last) const {
    throw SimulationError(
        fmt::format("time stands still at {} ps: {} {} without progress, the last event is of kind "
                    "{} for target {}",
                    now_.ps, count, of_what, last.kind(), last.target));
}

void Simulator::fail_past(SimTime at, std::uint32_t target) const {
    throw SimulationError(
        fmt::format("event for target {} scheduled in the past: {} ps, time is already {} ps",
                    target, at.ps, now_.ps));
}

}  // namespace orrery
