#pragma once
// The settings a training run used, every default filled in, in the form of a scenario.

#include <string>

#include "study/scenario.hpp"
#include "training/training_spec.hpp"

namespace orrery {

// JSON text: running it again as a scenario gives the same answer.
std::string used_settings(const Scenario& scenario, const TrainingSpec& spec);

// "embedding, layers 0-3", "layers 57-60, MTP x 1, head".
std::string stage_text(const StageLayout& stage);
// "norm, mla_up_projection, swiglu"; "none".
std::string recompute_text(const Recompute& recompute);

}  // namespace orrery
