#pragma once
// Pipeline schedules: for every pipeline rank the order of the passes it runs.
//
// A model is cut into `stages` chunks s = 0 .. stages-1. Micro-batch m needs the passes
//     F(m, s)  forward                 after F(m, s-1)
//     I(m, s)  backward for input      after F(m, s) and, but for the last stage, I(m, s+1)
//     W(m, s)  backward for weights    after I(m, s)
// A full backward B runs I then W as one; an overlapped pair runs one F and one B side by side as
// one action. A rank runs its actions one at a time in the order given. A schedule is plain data
// without durations; schedule_timing.hpp prices it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

enum class ActionKind : std::uint8_t {
    forward,           // F
    backward,          // B: the full backward, I and W as one
    backward_input,    // I
    backward_weight,   // W
    forward_backward,  // F of (micro_batch, stage) overlapped with B of (backward_*)
};

// One entry of a rank's list. Micro-batches count from 0 over both directions, stages from 0 in the
// forward order of the micro-batch's own direction. Build with the functions below: where the kind
// is not forward_backward, backward_micro_batch and backward_stage repeat micro_batch and stage.
struct Action {
    ActionKind kind = ActionKind::forward;
    std::int32_t micro_batch = 0;
    std::int32_t stage = 0;
    std::int32_t backward_micro_batch = 0;
    std::int32_t backward_stage = 0;
    bool operator==(const Action&) const = default;
};

constexpr Action make_action(ActionKind kind, std::int32_t micro_batch, std::int32_t stage) {
    return {kind, micro_batch, stage, micro_batch, stage};
}
// The forward and the backward half are what make_action(forward, ...) and (backward, ...) return.
constexpr Action make_overlapped(const Action& forward, const Action& backward) {
    return {ActionKind::forward_backward, forward.micro_batch, forward.stage, backward.micro_batch,
            backward.stage};
}

constexpr bool has_forward(ActionKind kind) {
    return kind == ActionKind::forward || kind == ActionKind::forward_backward;
}
// Produces the gradient of its input: B, I, or an overlapped pair.
constexpr bool has_backward_input(ActionKind kind) {
    return kind != ActionKind::forward && kind != ActionKind::backward_weight;
}
// Produces the gradient of its weights: B, W, or an overlapped pair.
constexpr bool has_backward_weight(ActionKind kind) {
    return kind != ActionKind::forward && kind != ActionKind::backward_input;
}

// "F", "B", "I", "W" or "OVERLAP_F_B", as PyTorch's schedule files write them.
std::string_view action_kind_name(ActionKind kind);
// "F of micro-batch 3 on stage 1", for messages.
std::string describe(const Action& action);

struct PipelineSchedule {
    std::string name;       // "1f1b", ..., or the file of an imported schedule
    int ranks = 0;          // pipeline ranks
    int stages = 0;         // chunks of one copy of the model
    int micro_batches = 0;  // both directions together
    // [direction][stage] -> rank. One direction, or two in a bidirectional schedule, where
    // micro-batches below micro_batches / 2 run direction 0 and the others direction 1.
    std::vector<std::vector<int>> stage_rank;
    std::vector<std::vector<Action>> actions;  // [rank], in execution order

    int directions() const { return static_cast<int>(stage_rank.size()); }
    int direction_of(int micro_batch) const {
        return directions() > 1 && micro_batch >= micro_batches / 2 ? 1 : 0;
    }
    // The rank that runs every pass of this micro-batch on this stage.
    int rank_of(int micro_batch, int stage) const {
        return stage_rank[static_cast<std::size_t>(direction_of(micro_batch))]
                         [static_cast<std::size_t>(stage)];
    }
};

struct ScheduleShape {
    int ranks = 1;
    int micro_batches = 1;  // both directions together
    // Chunks a rank holds: of one model in interleaved_1f1b (any), zb_v and dualpipe_v (2); of both
    // copies in dualpipe (2). 0 takes the schedule's own number (2 for interleaved_1f1b).
    int chunks = 0;
};

struct ScheduleKind {
    std::string_view name;     // as make_schedule takes it
    std::string_view summary;  // one line: what it is, whose
    std::string_view shapes;   // one line: the ranks, micro-batches and chunks it takes
};

// Every schedule that can be made, in the order of their publication.
const std::vector<ScheduleKind>& schedule_kinds();

// Pure: the same arguments give the same schedule. Throws InputError, one line, for an unknown name
// or a shape that the schedule does not take.
PipelineSchedule make_schedule(std::string_view name, const ScheduleShape& shape);

}  // namespace orrery
