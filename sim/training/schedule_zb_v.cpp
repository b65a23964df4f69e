// ZB-V, the hand-made schedule of Qi et al. (arXiv:2401.10241, section 6): rank r of P holds stage
// r, going down, and stage 2P-1-r, coming back, so that one rank has the first and the last chunk.
// Every backward is split. At F = I = W no rank idles between its first and its last pass and each
// holds at most 2P chunks' activations, the memory of 1F1B; at other costs it is a legal schedule
// with bubbles (the authors' automatic search, which fits the order to the costs, is not this).
//
// Rank r: 1. 2(P-r)-1 forwards down. 2. r times forward back, forward down. 3. P-r times F, I, W
// back. 4. While forwards are left: F, I, W down, then F, I, W back. 5. r times I down, I back.
// 6. P-r times I, W down. 7. The weights left, those of the way back first. With fewer than 2P-1
// micro-batches the ones beyond are left out of that pattern.
#include <algorithm>
#include <array>

#include "training/schedule_makers.hpp"

namespace orrery {

namespace {

// One rank's list under construction: the next micro-batch of each kind of pass on its two chunks.
class VeeRank {
  public:
    VeeRank(int rank, const ScheduleShape& shape)
        : stages_{rank, 2 * shape.ranks - 1 - rank}, micro_batches_(shape.micro_batches) {}

    void forward(int chunk) { add(ActionKind::forward, chunk, forwards_[chunk]++); }
    void input(int chunk) { add(ActionKind::backward_input, chunk, inputs_[chunk]++); }
    void weight(int chunk) { add(ActionKind::backward_weight, chunk, weights_[chunk]++); }
    void split_backward(int chunk) {
        input(chunk);
        weight(chunk);
    }
    int forwards(int chunk) const { return forwards_[chunk]; }
    void rest_of_weights(int chunk) {
        while (weights_[chunk] < inputs_[chunk]) weight(chunk);
    }
    std::vector<Action> take() { return std::move(actions_); }

  private:
    void add(ActionKind kind, int chunk, int micro_batch) {
        if (micro_batch >= micro_batches_) return;
        actions_.push_back(make_action(kind, micro_batch, stages_[chunk]));
    }
    std::array<int, 2> stages_;
    int micro_batches_;
    std::array<int, 2> forwards_{}, inputs_{}, weights_{};
    std::vector<Action> actions_;
};

std::vector<Action> vee_actions(int rank, const ScheduleShape& shape) {
    constexpr int down = 0;
    constexpr int back = 1;
    const int left = shape.ranks - rank;
    const int pattern = std::max(2 * shape.ranks - 1, shape.micro_batches);
    VeeRank list(rank, shape);
    for (int i = 0; i < 2 * left - 1; ++i) list.forward(down);
    for (int i = 0; i < rank; ++i) {
        list.forward(back);
        list.forward(down);
    }
    for (int i = 0; i < left; ++i) {
        list.forward(back);
        list.split_backward(back);
    }
    while (list.forwards(back) < pattern) {
        if (list.forwards(down) < pattern) list.forward(down);
        list.split_backward(down);
        list.forward(back);
        list.split_backward(back);
    }
    for (int i = 0; i < rank; ++i) {
        list.input(down);
        list.input(back);
    }
    for (int i = 0; i < left; ++i) list.split_backward(down);
    list.rest_of_weights(back);
    list.rest_of_weights(down);
    return list.take();
}

}  // namespace

PipelineSchedule make_zb_v(const ScheduleShape& shape) {
    PipelineSchedule schedule;
    schedule.stage_rank = {vee_placement(shape.ranks)};
    for (int rank = 0; rank < shape.ranks; ++rank) {
        schedule.actions.push_back(vee_actions(rank, shape));
    }
    return schedule;
}

}  // namespace orrery
