#pragma once
// Subjects for the memory-bound kernels of kernels/.

#include <memory>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/measure.hpp"
#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

// A subject running `c` on operands in the device's arena, rotating over sets.
Subject memory_subject(const Device& device, const MemoryCase& c);
// "rms_norm 4096x7168"
std::string describe(const MemoryCase& c);

}  // namespace orrery::calibrate
