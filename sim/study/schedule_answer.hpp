#pragma once
// What `orrery schedule` asks and gets: one schedule, made by name or read from a file, checked and
// timed at given costs per chunk.

#include <optional>
#include <string>
#include <string_view>

#include "training/schedule_timing.hpp"

namespace orrery {

// "F=1,B=1,W=1,FB=2.5": durations per chunk in any one unit, B the input-gradient pass, FB an
// overlapped pair. What is left out is 1, and FB = F + B + W: a pair that gains nothing. Throws
// InputError for an unknown or repeated key or a value that is no number >= 0.
PassCosts parse_pass_costs(std::string_view text);

struct ScheduleAnswer {
    PipelineSchedule schedule;
    PassCosts costs;
    ScheduleTiming timing;
    double worst_bubble = 0.0;          // of all ranks
    std::optional<double> closed_form;  // as published, where there is one
    std::string_view closed_form_text;  // in symbols, B the full backward; empty without a form
};

// Both throw InputError: unknown name, impossible shape, a text that is no schedule or no legal
// one.
ScheduleAnswer answer_schedule(std::string_view name, const ScheduleShape& shape,
                               const PassCosts& costs);
// `text` in PyTorch's schedule notation (training/schedule_csv.hpp); `file` names it in messages.
ScheduleAnswer answer_schedule_file(std::string_view text, std::string_view file,
                                    const PassCosts& costs);

// The terminal picture and PyTorch's notation.
std::string schedule_picture(const ScheduleAnswer& answer, bool colour);
std::string schedule_file_text(const ScheduleAnswer& answer);

}  // namespace orrery
