#pragma once
// The blocks of a training scenario to a TrainingSpec, and the settings a run used, defaults and
// all, back to JSON.

#include <filesystem>
#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "study/scenario.hpp"
#include "training/training_spec.hpp"

namespace orrery {

struct TrainingScenario {
    TrainingSpec spec;
    std::filesystem::path model_file;
    std::string used;                 // JSON text
    std::vector<SourceUsed> sources;  // stated inputs: clock, jitter, routing, overrides
    std::vector<std::string> notes;
};

// Throws InputError for unknown keys, wrong units, values out of range, a plan that does not
// divide.
TrainingScenario read_training_scenario(const Scenario& scenario,
                                        const std::filesystem::path& profiles);

}  // namespace orrery
