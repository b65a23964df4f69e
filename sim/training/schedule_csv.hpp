#pragma once
// PyTorch's pipeline schedule files (torch.distributed.pipelining, _PipelineScheduleRuntime with
// format "compute_only"): one line a rank, cells separated by commas in execution order, a cell
//     STAGE KIND MICRO_BATCH, as 0F0, 3I2, 3W2, 1B0   (kinds F, I, W, B = full backward), or
//     (0F1;1B0)OVERLAP_F_B                             for an overlapped pair;
// an empty cell is an idle slot and means nothing here. Communication cells (UNSHARD, RESHARD,
// REDUCE_GRAD, SEND_F, RECV_F, SEND_B, RECV_B) are read and left out: they follow from the order.
//
// PyTorch knows no bidirectional schedule. In a file of one, stage s of direction 1 is numbered
// stages + s, as the second model copy's stages would be; reading recognises it by the
// micro-batches of the upper half of the stages being others than those of the lower half.

#include <string>
#include <string_view>

#include "training/schedule.hpp"

namespace orrery {

// The file's text, one line a rank, no idle slots.
std::string schedule_to_csv(const PipelineSchedule& schedule);

// Reads such a text; `name` stands for the file in messages and becomes the schedule's name. The
// placement of stages is taken from the lines they appear in. Throws InputError naming file, line
// and cell. Whether the schedule is legal is for check_schedule to say.
PipelineSchedule schedule_from_csv(std::string_view text, std::string_view name);

}  // namespace orrery
