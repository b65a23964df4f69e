#include "training/schedule_draw.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include <fmt/format.h>

namespace orrery {

namespace {

// Writes the labels of cells; knows which of its rank's chunks a stage is.
class Labels {
  public:
    explicit Labels(const PipelineSchedule& schedule) : schedule_(schedule) {
        for (const std::vector<int>& placement : schedule.stage_rank) {
            std::vector<int> held(static_cast<std::size_t>(schedule.ranks));
            auto& chunks = chunk_of_.emplace_back();
            for (const int rank : placement) {
                chunks.push_back(held[static_cast<std::size_t>(rank)]++);
            }
        }
    }
    std::string operator()(const Action& action) const {
        const ActionKind kind = action.kind;
        if (kind == ActionKind::forward_backward) {
            return half("F", action.micro_batch, action.stage) + '&' +
                   half("B", action.backward_micro_batch, action.backward_stage);
        }
        return half(action_kind_name(kind), action.micro_batch, action.stage);
    }

  private:
    std::string half(std::string_view kind, int micro_batch, int stage) const {
        std::string text = fmt::format("{}{}", kind, micro_batch);
        const int chunk = chunk_of_[static_cast<std::size_t>(schedule_.direction_of(micro_batch))]
                                   [static_cast<std::size_t>(stage)];
        if (chunk > 0) text += static_cast<char>(chunk < 26 ? 'a' + chunk : '+');
        return text;
    }
    const PipelineSchedule& schedule_;
    std::vector<std::vector<int>> chunk_of_;  // [direction][stage] how manieth of its rank
};

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
                        const Labels& label, const DrawOptions& options) {
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

std::string draw_cell(std::string text, ActionKind kind, std::size_t width,
                      const DrawOptions& options) {
    text.resize(width > 0 ? std::max<std::size_t>(width - 1, 1) : 0, ' ');
    text.resize(width, ' ');
    if (!options.colour || width == 0) return text;
    return fmt::format("\x1b[30;{}m{}\x1b[0m", background(kind), text);
}

}  // namespace

std::string draw_schedule(const PipelineSchedule& schedule, const ScheduleTiming& timing,
                          const DrawOptions& options) {
    if (timing.makespan <= 0.0) return "nothing takes any time\n";
    const Labels label(schedule);
    const double columns = columns_per_time(schedule, timing, label, options);
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
            const Action& action = schedule.actions[rank][at];
            text += draw_cell(label(action), action.kind, drawn - column(time.start), options);
        }
        text.append(column(timing.makespan) - drawn, '.');
        text += "|\n";
    }
    return text;
}

}  // namespace orrery
