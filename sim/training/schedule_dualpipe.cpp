// DualPipe (DeepSeek-V3 report, arXiv:2412.19437, section 3.2.1; steps after deepseek-ai/DualPipe):
// two copies of the model run through P ranks in opposite directions, rank r holding stage r of
// direction 0 and stage P-1-r of direction 1, each direction with half of the M micro-batches.
//
// With h = min(r, P-1-r), H = P/2, phase 0 the direction that starts at the rank's own end and
// phase 1 the other, and N micro-batches in each phase, a rank runs
//   1. 2(H-h-1) times F0           5. (H-h-1) times B1, F1&B0
//   2. (h+1) times F0, F1          6. (h+1) times B1, B0, split in the second half
//   3. (H-h-1) times I1, W, F1     7. (H-h-1) times W, I0
//   4. (N-P+h+1) times F0&B1,      8. the W left, oldest first
//      F1&B0
// where B is the full backward and & an overlapped pair. The two ranks in the middle do not overlap
// their first F0 and B1, which shortens the bubble. At most P+1 activations are held.
#include <array>
#include <deque>

#include "training/schedule_makers.hpp"

namespace orrery {

namespace {

// One rank's list under construction: the next forward and backward of both phases and the weight
// gradients that wait.
class DualPipeRank {
  public:
    DualPipeRank(const DualPipePhase& phase0, const DualPipePhase& phase1)
        : phases_{phase0, phase1} {}

    void forward(int phase) { actions_.push_back(next_forward(phase)); }
    void backward(int phase) { actions_.push_back(next_backward(phase)); }
    void split_backward(int phase) {
        Action action = next_backward(phase);
        action.kind = ActionKind::backward_input;
        actions_.push_back(action);
        action.kind = ActionKind::backward_weight;
        waiting_.push_back(action);
    }
    void weight() {
        actions_.push_back(waiting_.front());
        waiting_.pop_front();
    }
    void overlapped(int forward_phase, int backward_phase) {
        const Action forward = next_forward(forward_phase);
        actions_.push_back(make_overlapped(forward, next_backward(backward_phase)));
    }
    bool weights_wait() const { return !waiting_.empty(); }
    std::vector<Action> take() { return std::move(actions_); }

  private:
    Action next_forward(int phase) {
        const DualPipePhase& at = phases_[phase];
        return make_action(ActionKind::forward, at.first_micro_batch + forwards_[phase]++,
                           at.stage);
    }
    Action next_backward(int phase) {
        const DualPipePhase& at = phases_[phase];
        return make_action(ActionKind::backward, at.first_micro_batch + backwards_[phase]++,
                           at.stage);
    }
    std::array<DualPipePhase, 2> phases_;
    std::array<int, 2> forwards_{}, backwards_{};
    std::deque<Action> waiting_;
    std::vector<Action> actions_;
};

// Steps 1 to 3: until both phases are under way.
void fill(DualPipeRank& rank, int outer, int inner) {
    for (int i = 0; i < 2 * outer; ++i) rank.forward(0);
    for (int i = 0; i < inner; ++i) {
        rank.forward(0);
        rank.forward(1);
    }
    for (int i = 0; i < outer; ++i) {
        rank.split_backward(1);
        rank.weight();
        rank.forward(1);
    }
}

// Steps 5 to 8: after the last F0. From the middle of step 6 on backwards are split.
void drain(DualPipeRank& rank, int outer, int inner) {
    for (int i = 0; i < outer; ++i) {
        rank.backward(1);
        rank.overlapped(1, 0);
    }
    // Of the 2 inner backwards of step 6 the first `inner` are full, the others split.
    for (int i = 0; i < 2 * inner; ++i) {
        const int phase = i % 2 == 0 ? 1 : 0;
        if (i < inner) {
            rank.backward(phase);
        } else {
            rank.split_backward(phase);
        }
    }
    for (int i = 0; i < outer; ++i) {
        rank.weight();
        rank.split_backward(0);
    }
    while (rank.weights_wait()) rank.weight();
}

}  // namespace

std::vector<Action> dualpipe_steps(int half_ranks, int depth, int micro_batches,
                                   const DualPipePhase& phase0, const DualPipePhase& phase1) {
    const int outer = half_ranks - depth - 1;
    const int inner = depth + 1;
    DualPipeRank rank(phase0, phase1);
    fill(rank, outer, inner);
    const int pairs = micro_batches - 2 * half_ranks + inner;
    for (int i = 0; i < pairs; ++i) {
        if (i == 0 && outer == 0) {
            rank.forward(0);
            rank.backward(1);
        } else {
            rank.overlapped(0, 1);
        }
        rank.overlapped(1, 0);
    }
    drain(rank, outer, inner);
    return rank.take();
}

PipelineSchedule make_dualpipe(const ScheduleShape& shape) {
    const int ranks = shape.ranks;
    const int each = shape.micro_batches / 2;
    PipelineSchedule schedule;
    schedule.stage_rank = {straight_placement(ranks), straight_placement(ranks)};
    schedule.stage_rank[1].assign(schedule.stage_rank[0].rbegin(), schedule.stage_rank[0].rend());
    for (int rank = 0; rank < ranks; ++rank) {
        const DualPipePhase direction0{0, rank};
        const DualPipePhase direction1{each, ranks - 1 - rank};
        const bool near_end = rank < ranks / 2;
        schedule.actions.push_back(dualpipe_steps(ranks / 2, near_end ? rank : ranks - 1 - rank,
                                                  each, near_end ? direction0 : direction1,
                                                  near_end ? direction1 : direction0));
    }
    return schedule;
}

}  // namespace orrery
