#pragma once
// Slow, obviously right twin of time_schedule: every action starts at 0, then all starts are raised
// to what they depend on, over the whole schedule again and again, until nothing moves.

#include <algorithm>
#include <map>
#include <tuple>

#include "training/schedule_timing.hpp"

namespace orrery {

using PassKey = std::tuple<char, int, int>;  // 'F' or 'I', micro-batch, stage

inline std::vector<PassKey> twin_produces(const Action& a) {
    switch (a.kind) {
        case ActionKind::forward:
            return {{'F', a.micro_batch, a.stage}};
        case ActionKind::backward:
        case ActionKind::backward_input:
            return {{'I', a.micro_batch, a.stage}};
        case ActionKind::backward_weight:
            return {};
        case ActionKind::forward_backward:
            return {{'F', a.micro_batch, a.stage}, {'I', a.backward_micro_batch, a.backward_stage}};
    }
    return {};
}

inline std::vector<PassKey> twin_consumes(const Action& a) {
    if (a.kind == ActionKind::backward_weight) return {{'I', a.micro_batch, a.stage}};
    std::vector<PassKey> keys;
    for (const auto& [pass, m, s] : twin_produces(a)) {
        if (pass == 'F') keys.push_back({'F', m, s - 1});  // absent for stage 0
        if (pass == 'I') {
            keys.push_back({'F', m, s});
            keys.push_back({'I', m, s + 1});  // absent for the last stage
        }
    }
    return keys;
}

inline std::vector<std::vector<ActionTime>> twin_times(const PipelineSchedule& schedule,
                                                       const PassCosts& costs) {
    std::map<PassKey, double> end_of;
    std::vector<std::vector<ActionTime>> times(schedule.actions.size());
    for (std::size_t r = 0; r < times.size(); ++r) times[r].resize(schedule.actions[r].size());
    for (bool moved = true; moved;) {
        moved = false;
        for (std::size_t r = 0; r < times.size(); ++r) {
            for (std::size_t i = 0; i < times[r].size(); ++i) {
                const Action& action = schedule.actions[r][i];
                double start = i == 0 ? 0.0 : times[r][i - 1].end;
                for (const PassKey& key : twin_consumes(action)) {
                    if (end_of.contains(key)) start = std::max(start, end_of[key]);
                }
                const double end = start + action_cost(action.kind, costs);
                moved = moved || start > times[r][i].start || end > times[r][i].end;
                times[r][i] = {start, end};
                for (const PassKey& key : twin_produces(action)) end_of[key] = end;
            }
        }
    }
    return times;
}

}  // namespace orrery
