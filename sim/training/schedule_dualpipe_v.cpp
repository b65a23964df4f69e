// DualPipeV (deepseek-ai/DualPipe; the "cut-in-half" of Sea AI Lab): half of a DualPipe of 2P
// ranks. Its P ranks hold one model of 2P stages in a V, rank r stage r going down and stage 2P-1-r
// coming back, and run the eight steps of DualPipe's ranks 0 .. P-1 with phase 0 the way down,
// phase 1 the way back, and all M micro-batches in both. At most 2P+1 chunks' activations are held.
#include "training/schedule_makers.hpp"

namespace orrery {

PipelineSchedule make_dualpipe_v(const ScheduleShape& shape) {
    PipelineSchedule schedule;
    schedule.stage_rank = {vee_placement(shape.ranks)};
    for (int rank = 0; rank < shape.ranks; ++rank) {
        schedule.actions.push_back(dualpipe_steps(shape.ranks, rank, shape.micro_batches, {0, rank},
                                                  {0, 2 * shape.ranks - 1 - rank}));
    }
    return schedule;
}

}  // namespace orrery
