#include "training/schedule_draw.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace orrery {

namespace {

std::string label(const Action& action) {
    if (action.kind == ActionKind::forward_backward) {
        return fmt::format("F{}&B{}", action.micro_batch, action.backward_micro_batch);
    }
    return fmt::format("{}{}", action_kind_name(action.kind), action.micro_batch);
}

// ANSI: black on a background.
int background(ActionKind kind) {
    switch (kind) {
        case ActionKind::forward:
            return 44;  // blue
        case ActionKind::backward:
            return 42;  // green
        case ActionKind::backward_input:
            return 46;  // cyan
        case ActionKind::backward_weight:
            return 43;  // yellow
        case ActionKind::forward_backward:
            return 45;  // magenta
    }
    return 49;
}

// The fewest columns a unit of time must have for every label and a blank to fit its cell.
double columns_per_time(const PipelineSchedule& schedule, const ScheduleTiming& timing,
                        const DrawOptions& options) {
    double columns = 0.0;
    for (std::size_t rank = 0; rank < schedule.actions.size(); ++rank) {
        for (std::size_t at = 0; at < schedule.actions[rank].size(); ++at) {
            const ActionTime& time = timing.actions[rank][at];
            if (time.end <= time.start) continue;
            const double width = static_cast<double>(label(schedule.actions[rank][at]).size() + 1);
            columns = std::max(columns, width / (time.end - time.start));
        }
    }
    return std::min(columns, options.most_columns / timing.makespan);
}

std::string draw_cell(const Action& action, std::size_t width, const DrawOptions& options) {
    std::string text = label(action);
    text.resize(width > 0 ? std::max<std::size_t>(width - 1, 1) : 0, ' ');
    text.resize(width, ' ');
    if (!options.colour || width == 0) return text;
    return fmt::format("\x1b[30;{}m{}\x1b[0m", background(action.kind), text);
}

}  // namespace

std::string draw_schedule(const PipelineSchedule& schedule, const ScheduleTiming& timing,
                          const DrawOptions& options) {
    if (timing.makespan <= 0.0) return "nothing takes any time\n";
    const double columns = columns_per_time(schedule, timing, options);
    const auto column = [&](double time) {
        return static_cast<std::size_t>(std::llround(time * columns));
    };
    const std::size_t margin = fmt::formatted_size("{}", schedule.ranks - 1);
    std::string text;
    for (std::size_t rank = 0; rank < schedule.actions.size(); ++rank) {
        fmt::format_to(std::back_inserter(text), "rank {:>{}} |", rank, margin);
        std::size_t drawn = 0;
        for (std::size_t at = 0; at < schedule.actions[rank].size(); ++at) {
            const ActionTime& time = timing.actions[rank][at];
            text.append(column(time.start) - drawn, '.');
            drawn = column(time.end);
            text += draw_cell(schedule.actions[rank][at], drawn - column(time.start), options);
        }
        text.append(column(timing.makespan) - drawn, '.');
        text += "|\n";
    }
    return text;
}

}  // namespace orrery
