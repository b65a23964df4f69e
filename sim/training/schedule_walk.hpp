#pragma once
// Runs through a schedule in an order that its dependencies allow, without durations: what timing,
// the deadlock check and the building of a training step have in common. Linear in the actions.

#include <cstddef>
#include <functional>
#include <optional>

#include "training/schedule.hpp"

namespace orrery {

// The output of a forward (F) or of a backward for input (I, alone or within a B or a pair).
struct PassOutput {
    bool backward = false;
    int micro_batch = 0;
    int stage = 0;
    bool operator==(const PassOutput&) const = default;
};

// Where a walk got stuck: the rank's next action and an output it consumes that never came.
struct BlockedAction {
    int rank = 0;
    std::size_t position = 0;
    PassOutput waits_for;
};

// Calls visit(output) for everything the action consumes, at most four outputs: F of the stage
// before; for a backward its own F and the I of the stage behind; for a W its own I.
template <class Visit>
void for_each_input(const Action& action, int stages, Visit&& visit) {
    if (has_forward(action.kind) && action.stage > 0) {
        visit(PassOutput{false, action.micro_batch, action.stage - 1});
    }
    if (action.kind == ActionKind::backward_weight) {
        visit(PassOutput{true, action.micro_batch, action.stage});
    }
    if (has_backward_input(action.kind)) {
        visit(PassOutput{false, action.backward_micro_batch, action.backward_stage});
        if (action.backward_stage + 1 < stages) {
            visit(PassOutput{true, action.backward_micro_batch, action.backward_stage + 1});
        }
    }
}

// Calls visit(output) for everything the action produces that others consume.
template <class Visit>
void for_each_output(const Action& action, Visit&& visit) {
    if (has_forward(action.kind)) visit(PassOutput{false, action.micro_batch, action.stage});
    if (has_backward_input(action.kind)) {
        visit(PassOutput{true, action.backward_micro_batch, action.backward_stage});
    }
}

// The place of an output in an array of 2 x micro_batches x stages.
inline std::size_t output_index(const PassOutput& output, const PipelineSchedule& schedule) {
    const auto passes =
        static_cast<std::size_t>(output.micro_batch) * static_cast<std::size_t>(schedule.stages) +
        static_cast<std::size_t>(output.stage);
    return 2 * passes + (output.backward ? 1 : 0);
}

// Calls visit(rank, position) for each action once, after everything it consumes. Returns nothing
// when all were visited, otherwise a blocked action, one blocked by its own rank's order where
// there is one. Every micro-batch, stage and placement must be in range, as find_schedule_error
// makes sure.
std::optional<BlockedAction> walk_schedule(const PipelineSchedule& schedule,
                                           const std::function<void(int, std::size_t)>& visit);

}  // namespace orrery
