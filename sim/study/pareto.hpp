#pragma once
// Throughput against interactivity: deployments at a steady load (serving/steady_load.hpp) with one
// batch limit after the other, and which of the points no other one beats in both.

#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "serving/steady_load.hpp"
#include "study/scenario.hpp"

namespace orrery {

struct ParetoPoint {
    std::size_t deployment = 0;  // index of its scenario
    SteadyPoint load;
    double dollars_per_million = 0;  // of output tokens; prompts are paid with them
    bool dominated = false;
};

// Marks points that another one beats: in tokens/s a GPU or a user, and is no worse in the other.
void mark_dominated(std::vector<ParetoPoint>& points);

struct ParetoAnswer {
    std::vector<ParetoPoint> points;  // by tokens/s a user, the highest first
    // Kind "pareto": tables "setup", "front", "dominated" and "points" (all of them).
    RunResult result;
};
// The requests of the first scenario for all of them. Throws InputError where a scenario is not
// serving, or several of its pools share a kind of work.
ParetoAnswer pareto_front(const std::vector<Scenario>& scenarios,
                          const std::filesystem::path& profiles);

}  // namespace orrery
