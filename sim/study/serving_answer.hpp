#pragma once
// What a serving simulation found as a RunResult.

#include "core/run_result.hpp"
#include "study/serving_scenario.hpp"

namespace orrery {

RunResult serving_answer(const Scenario& scenario, ServingScenario& serving,
                         const ServingResult& simulated);

}  // namespace orrery
