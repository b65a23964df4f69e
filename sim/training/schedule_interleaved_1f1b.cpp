// Interleaved 1F1B (Megatron-LM, arXiv:2104.04473, section 2.2): rank r of P holds chunks v = 0 ..
// V-1, chunk v being stage v P + r. Micro-batches go in groups of P: a group runs on chunk 0, then
// on chunk 1, ...; backwards the same with the chunks reversed. Rank r runs 2 (P-1-r) + (V-1) P
// forwards ahead, then one forward and one backward in turn.
#include <algorithm>

#include "training/schedule_makers.hpp"

namespace orrery {

PipelineSchedule make_interleaved_1f1b(const ScheduleShape& shape) {
    const int ranks = shape.ranks;
    const int chunks = shape.chunks;
    const int passes = shape.micro_batches * chunks;  // forwards of one rank
    std::vector<int> placement;
    for (int stage = 0; stage < ranks * chunks; ++stage) placement.push_back(stage % ranks);
    PipelineSchedule schedule;
    schedule.stage_rank = {placement};
    for (int rank = 0; rank < ranks; ++rank) {
        // The k-th forward or full backward of this rank.
        const auto pass = [&](ActionKind kind, int k) {
            const int in_group = k % (ranks * chunks);
            int chunk = in_group / ranks;
            if (kind == ActionKind::backward) chunk = chunks - 1 - chunk;
            const int micro_batch = k / (ranks * chunks) * ranks + in_group % ranks;
            return make_action(kind, micro_batch, chunk * ranks + rank);
        };
        std::vector<Action> actions;
        actions.reserve(2 * static_cast<std::size_t>(passes));
        int forward = 0;
        const int ahead = std::min(2 * (ranks - 1 - rank) + (chunks - 1) * ranks, passes);
        while (forward < ahead) actions.push_back(pass(ActionKind::forward, forward++));
        for (int backward = 0; backward < passes; ++backward) {
            if (forward < passes) actions.push_back(pass(ActionKind::forward, forward++));
            actions.push_back(pass(ActionKind::backward, backward));
        }
        schedule.actions.push_back(std::move(actions));
    }
    return schedule;
}

}  // namespace orrery
