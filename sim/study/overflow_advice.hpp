#pragma once
// What to change in a plan that does not fit: single changes of the scenario, each read anew and
// its memory peak computed, so that nothing is named that is set already, cannot be or does not
// help.

#include <string>

#include "study/run.hpp"
#include "study/training_scenario.hpp"
#include "training/memory_peak.hpp"

namespace orrery {

// "plan.recompute=full brings it to 61.20 GB, which fits."; the change that saves most where none
// fits; a sentence saying so where none helps.
std::string overflow_advice(const Scenario& scenario, const TrainingScenario& training,
                            const MemoryPeak& memory, const RunRequest& request);

}  // namespace orrery
