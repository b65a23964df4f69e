#pragma once
// The search for a size written down: a RunResult whose first line is the answer.

#include "serving/size_bounds.hpp"
#include "study/serving_scenario.hpp"
#include "study/size.hpp"

namespace orrery {

void write_size_answer(SizeAnswer& answer, const Scenario& scenario, const ServingScenario& serving,
                       const SizeBounds& bounds, const SizeSpace& space, bool every);

}  // namespace orrery
