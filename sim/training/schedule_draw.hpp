#pragma once
// A schedule as text: one row a rank, time to the right, one cell an action, dots where a rank is
// idle. A cell is the kind (F, B = full backward, I, W) and the micro-batch, F12; on a rank's
// second chunk of a model F12b, on its third F12c, and so on. An overlapped pair is written F12&B3.

#include <string>

#include "training/schedule_timing.hpp"

namespace orrery {

struct DrawOptions {
    bool colour = false;      // ANSI colours, one a kind
    int most_columns = 4000;  // beyond that cells get narrower and labels are cut
};

// Columns are as narrow as the labels allow; the same scale holds for all ranks, so that cells
// above each other run at the same time. Actions without duration take no room.
std::string draw_schedule(const PipelineSchedule& schedule, const ScheduleTiming& timing,
                          const DrawOptions& options = {});

}  // namespace orrery
