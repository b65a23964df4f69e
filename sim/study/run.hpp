#pragma once
// A scenario to its answer: what `orrery run`, compare and validate call, once a case.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "core/quantity.hpp"
#include "core/run_result.hpp"
#include "study/scenario.hpp"

namespace orrery {

struct RunRequest {
    std::filesystem::path profiles = {};  // directory with accelerators/ and clusters/
    bool trace = false;                   // fill RunOutcome::timeline
    // Ranks on the timeline; empty: rank 0.
    std::vector<std::int64_t> trace_ranks = {};
    bool trace_whole_step = false;  // every micro-batch, not the first and the last only
    std::function<void(Seconds)> progress = {};  // called now and then with the simulated time
};

struct RunOutcome {
    RunResult result;
    Timeline timeline;
};

// The result has no program stamp yet, and its inputs no hashes: the caller knows the program and
// may open files. Throws InputError for a scenario that is wrong or a plan that cannot be,
// SimulationError where the simulation cannot go on.
RunOutcome run_scenario(const Scenario& scenario, const RunRequest& request);

}  // namespace orrery
