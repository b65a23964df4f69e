#pragma once
// What a training step answers: metrics, tables and notes from the simulation's numbers.

#include "core/run_result.hpp"
#include "study/training_scenario.hpp"
#include "training/step.hpp"

namespace orrery {

// Everything but the program's stamp and the wall time.
RunResult training_answer(const Scenario& scenario, const TrainingScenario& training,
                          const TrainingResult& simulated);

// The breakdown tables, one function each.
ResultTable setup_table(const TrainingSpec& spec);
ResultTable per_rank_table(const TrainingResult& simulated);
ResultTable stages_table(const TrainingSpec& spec);
ResultTable memory_table(const MemoryPeak& memory);
// Empty where the schedule has no overlapped pairs.
ResultTable chunk_pair_table(const TrainingResult& simulated);
// What overflows and by how much; empty where the plan fits.
std::string overflow_note(const MemoryPeak& memory);

}  // namespace orrery
