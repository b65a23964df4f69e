#pragma once
// The single numbers of a profile, from measured tables.
//
//   copy_bandwidth   bytes read + written over time of the largest copy
//   launch_gap       between memory-bound kernels and GEMMs in turn
//   graph_gap        the same between kernels of one CUDA graph
//   kernel_floor     median of the kernels with next to nothing to do; where these were not
//                    measured, derived: median over kinds of (time - bytes / copy_bandwidth) of
//                    the smallest shape
//   saturating_sms   SMs left beside communication that holds the most and slows no memory-bound
//                    kernel by more than 2 % (median over kinds)

#include <optional>
#include <string>
#include <vector>

#include "calibrate/data_sheets.hpp"
#include "calibrate/results.hpp"

namespace orrery::calibrate {

// Name and SMs from the heading, the rest from table "device", 0 without one; nullopt where the
// heading names no device.
std::optional<DeviceFacts> device_facts(const Results& results);
Table device_table(const DeviceFacts& facts);

// What the tables give of sms, copy_bandwidth, launch_gap, kernel_floor, saturating_sms.
std::vector<SheetValue> measured_scalars(const Results& results);

}  // namespace orrery::calibrate
