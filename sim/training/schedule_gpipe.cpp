// GPipe (Huang et al., arXiv:1811.06965): every forward, then every backward, both in the order of
// the micro-batches (as PyTorch and Megatron-LM run it; the order does not change the bubble).
#include "training/schedule_makers.hpp"

namespace orrery {

PipelineSchedule make_gpipe(const ScheduleShape& shape) {
    PipelineSchedule schedule;
    schedule.stage_rank = {straight_placement(shape.ranks)};
    for (int rank = 0; rank < shape.ranks; ++rank) {
        std::vector<Action> actions;
        actions.reserve(2 * static_cast<std::size_t>(shape.micro_batches));
        for (const ActionKind kind : {ActionKind::forward, ActionKind::backward}) {
            for (int m = 0; m < shape.micro_batches; ++m) {
                actions.push_back(make_action(kind, m, rank));
            }
        }
        schedule.actions.push_back(std::move(actions));
    }
    return schedule;
}

}  // namespace orrery
