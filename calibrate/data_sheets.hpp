#pragma once
// Peaks that nobody measures: what a vendor's data sheet says of a GPU, by the name CUDA gives it.
//
//   unknown device   peak = SMs x highest SM clock x FLOP a cycle and SM (derived)
//
// FLOP a cycle and SM of the tensor cores of compute capability 9.0, dense BF16: 4,096 (NVIDIA H100
// architecture white paper); FP8 twice that.

#include <string>
#include <vector>

#include "core/sourced.hpp"

namespace orrery::calibrate {

// What the driver says of a device.
struct DeviceFacts {
    std::string name;          // "NVIDIA H100 80GB HBM3"
    int major = 0, minor = 0;  // compute capability
    double sms = 0;
    double memory_bytes = 0;       // that CUDA can address
    double highest_clock_mhz = 0;  // of the SMs
    double memory_clock_mhz = 0;   // 0 where the driver does not say
    double memory_bus_bits = 0;    // 0 where the driver does not say
};

// A scalar of a profile: value with unit, origin, source.
struct SheetValue {
    std::string key;    // "peak_bf16"
    std::string value;  // "989 TFLOP/s"
    Provenance from;
};

// memory, memory_bandwidth, peak_bf16, peak_fp8. Of an unknown device what the facts allow.
std::vector<SheetValue> data_sheet(const DeviceFacts& facts);

}  // namespace orrery::calibrate
