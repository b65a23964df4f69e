#pragma once
// The runs behind run_scenario() that are no training: one function a kind of scenario.

#include "study/run.hpp"

namespace orrery {

// Kind "expert_all_to_all": {"cluster": {"profile", ...}, "exchange": {...}} (expert_exchange.hpp).
RunOutcome run_expert_exchange(const Scenario& scenario, const RunRequest& request);
// Kind "serving": a workload played against a deployment (serving_scenario.hpp).
RunOutcome run_serving(const Scenario& scenario, const RunRequest& request);

// Kind "iteration": one iteration of a pool at a steady load (iteration_scenario.hpp).
RunOutcome run_iteration(const Scenario& scenario, const RunRequest& request);

}  // namespace orrery
