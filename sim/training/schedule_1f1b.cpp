// 1F1B, PipeDream-flush (Narayanan et al., arXiv:2006.09503 and 2104.04473): rank r of P runs
// P-1-r forwards ahead, then one forward and one backward in turn, then the backwards left. At most
// P-r activations are held.
#include <algorithm>

#include "training/schedule_makers.hpp"

namespace orrery {

PipelineSchedule make_1f1b(const ScheduleShape& shape) {
    PipelineSchedule schedule;
    schedule.stage_rank = {straight_placement(shape.ranks)};
    for (int rank = 0; rank < shape.ranks; ++rank) {
        std::vector<Action> actions;
        actions.reserve(2 * static_cast<std::size_t>(shape.micro_batches));
        int forward = 0;
        const int ahead = std::min(shape.ranks - 1 - rank, shape.micro_batches);
        while (forward < ahead)
            actions.push_back(make_action(ActionKind::forward, forward++, rank));
        for (int backward = 0; backward < shape.micro_batches; ++backward) {
            if (forward < shape.micro_batches) {
                actions.push_back(make_action(ActionKind::forward, forward++, rank));
            }
            actions.push_back(make_action(ActionKind::backward, backward, rank));
        }
        schedule.actions.push_back(std::move(actions));
    }
    return schedule;
}

}  // namespace orrery
