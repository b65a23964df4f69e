#pragma once
// Is a schedule legal? Every micro-batch must run F, I and W exactly once on every stage (B and
// pairs count as I and W), on the rank that holds the stage, and some order of all ranks' actions
// must respect every dependency (schedule.hpp): otherwise the ranks would wait for ever.

#include <optional>
#include <string>

#include "training/schedule.hpp"

namespace orrery {

// The first thing wrong, naming rank and action:
//   "rank 2, action 5 (W of micro-batch 0 on stage 2): waits for I of micro-batch 0 on stage 2,
//    which comes later on the same rank"
// in one line; nothing where the schedule is legal.
std::optional<std::string> find_schedule_error(const PipelineSchedule& schedule);

// Throws InputError with the schedule's name and what find_schedule_error says.
void check_schedule(const PipelineSchedule& schedule);

}  // namespace orrery
