#include "replay/replay.hpp"

#include "core/error.hpp"
#include "replay/machine.hpp"

namespace orrery {

ReplayResult replay(const ReplayInput& input, const ReplayOptions& options) {
    const Folding folding = fold(input, options.fold);
    ReplayMachine machine(input, folding, options);
    SimulatorOptions simulator_options;
    simulator_options.reverse_ties = options.reverse_ties;
    if (options.poll) {
        simulator_options.poll = [&](SimTime now, std::int64_t) { return options.poll(now); };
    }
    Simulator simulator(std::move(simulator_options));
    machine.start(simulator);
    const RunCounts counts = simulator.run(machine);
    if (counts.stopped == StopReason::interrupted) throw SimulationError("interrupted");
    machine.check_finished();
    ReplayResult result = machine.result();
    result.events = counts.events;
    return result;
}

}  // namespace orrery
