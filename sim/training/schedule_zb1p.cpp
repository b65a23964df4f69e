// ZB1P, the ZB-H1 schedule of Qi et al. (Zero Bubble Pipeline Parallelism, arXiv:2401.10241): 1F1B
// with every backward split into I and W. Rank r of P runs P-1-r forwards ahead, then F, I, W in
// turn with W lagging r micro-batches behind I; what lags fills the bubble at the end. Every rank
// holds at most P activations until their W, as rank 0 of 1F1B does.
#include <algorithm>

#include "training/schedule_makers.hpp"

namespace orrery {

PipelineSchedule make_zb1p(const ScheduleShape& shape) {
    const int micro_batches = shape.micro_batches;
    PipelineSchedule schedule;
    schedule.stage_rank = {straight_placement(shape.ranks)};
    for (int rank = 0; rank < shape.ranks; ++rank) {
        std::vector<Action> actions;
        actions.reserve(3 * static_cast<std::size_t>(micro_batches));
        int forward = 0;
        int weight = 0;
        const int ahead = std::min(shape.ranks - 1 - rank, micro_batches);
        while (forward < ahead)
            actions.push_back(make_action(ActionKind::forward, forward++, rank));
        for (int input = 0; input < micro_batches; ++input) {
            if (forward < micro_batches) {
                actions.push_back(make_action(ActionKind::forward, forward++, rank));
            }
            actions.push_back(make_action(ActionKind::backward_input, input, rank));
            // Once no forward is left, one W fits between two inputs however far behind it is.
            if (input - weight >= rank || forward == micro_batches) {
                actions.push_back(make_action(ActionKind::backward_weight, weight++, rank));
            }
        }
        while (weight < micro_batches) {
            actions.push_back(make_action(ActionKind::backward_weight, weight++, rank));
        }
        schedule.actions.push_back(std::move(actions));
    }
    return schedule;
}

}  // namespace orrery
