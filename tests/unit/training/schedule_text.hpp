#pragma once
// A rank's list of actions as short text for tests: "F0 F1&B0 I1 W1", stages left out.

#include <fmt/format.h>

#include "training/schedule.hpp"

namespace orrery {

inline std::string short_text(const std::vector<Action>& actions) {
    std::string text;
    for (const Action& action : actions) {
        if (!text.empty()) text += ' ';
        if (action.kind == ActionKind::forward_backward) {
            text += fmt::format("F{}&B{}", action.micro_batch, action.backward_micro_batch);
        } else {
            text += fmt::format("{}{}", action_kind_name(action.kind), action.micro_batch);
        }
    }
    return text;
}

// The same with stages: "F0@1 F1@1&B0@2".
inline std::string staged_text(const std::vector<Action>& actions) {
    std::string text;
    for (const Action& action : actions) {
        if (!text.empty()) text += ' ';
        const bool pair = action.kind == ActionKind::forward_backward;
        text += fmt::format("{}{}@{}", pair ? "F" : action_kind_name(action.kind),
                            action.micro_batch, action.stage);
        if (pair)
            text += fmt::format("&B{}@{}", action.backward_micro_batch, action.backward_stage);
    }
    return text;
}

}  // namespace orrery
