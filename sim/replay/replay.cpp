#include "replay/replay.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "replay/machine.hpp"

namespace orrery {
namespace {

// A class of identical ranks is traced once: every requested rank gets its class's trace.
std::vector<RankTrace> traces_by_rank(const ReplayResult& result,
                                      const std::vector<std::uint32_t>& ranks) {
    std::vector<RankTrace> traces;
    for (const std::uint32_t rank : ranks) {
        const auto same = [&](const RankTrace& trace) { return trace.rank == rank; };
        if (std::any_of(traces.begin(), traces.end(), same)) continue;
        for (const RankTrace& trace : result.traces) {
            if (result.folding.class_of[trace.rank] != result.folding.class_of[rank]) continue;
            traces.push_back(trace);
            traces.back().rank = rank;
        }
    }
    return traces;
}

}  // namespace

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
    result.traces = traces_by_rank(result, options.trace.ranks);
    return result;
}

}  // namespace orrery
