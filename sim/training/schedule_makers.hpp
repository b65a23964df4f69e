#pragma once
// The generators behind make_schedule, one .cpp file each. They trust the shape: make_schedule has
// checked it and filled in `chunks`.

#include "training/schedule.hpp"

namespace orrery {

PipelineSchedule make_gpipe(const ScheduleShape& shape);
PipelineSchedule make_1f1b(const ScheduleShape& shape);
PipelineSchedule make_interleaved_1f1b(const ScheduleShape& shape);
PipelineSchedule make_zb1p(const ScheduleShape& shape);
PipelineSchedule make_zb_v(const ScheduleShape& shape);
PipelineSchedule make_dualpipe(const ScheduleShape& shape);
PipelineSchedule make_dualpipe_v(const ScheduleShape& shape);

// stage s on rank s.
std::vector<int> straight_placement(int ranks);
// 2 P stages: s on rank s going down, on rank 2P-1-s coming back.
std::vector<int> vee_placement(int ranks);

// What one rank of DualPipe or DualPipeV has at one of its two phases: phase 0 feeds the pipeline
// from the near end, phase 1 from the far end.
struct DualPipePhase {
    int first_micro_batch = 0;
    int stage = 0;
};

// The eight steps for the rank at distance `depth` from the near end of a pipeline that is
// 2 * half_ranks stages long, with `micro_batches` of them in each phase.
std::vector<Action> dualpipe_steps(int half_ranks, int depth, int micro_batches,
                                   const DualPipePhase& phase0, const DualPipePhase& phase1);

}  // namespace orrery
