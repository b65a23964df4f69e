#pragma once
// May this GPU be calibrated now? Everything that would make its times wrong is found before the
// first kernel runs, and told in one line.

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::calibrate {

// What CUDA and NVML say before a context exists. Zero or empty where they do not say.
struct GpuState {
    bool driver_library = false;      // libcuda.so.1 opens
    int driver_cuda = 0;              // CUDA version the driver speaks: 13000
    int program_cuda = 0;             // and this program
    int devices = 0;                  // that CUDA sees
    int index = 0;                    // the one asked for
    std::string name;                 // "NVIDIA A100-SXM4-80GB"
    int major = 0, minor = 0;         // compute capability
    unsigned utilization = 0;         // percent of the last second with a kernel running
    std::vector<unsigned> processes;  // that hold a context on it
    std::uint64_t clock_reasons = 0;  // NVML's clocks event reasons
    double power_limit_w = 0, default_power_limit_w = 0;
};

struct Allowed {
    bool busy = false, throttled = false;
};

// The reason not to measure, one line; empty where there is none.
std::string refusal(const GpuState& state, const Allowed& allowed);

// "thermal slowdown, power brake" of NVML's bits that mean lowered clocks; empty: none. Power
// capping under load and idling are no reason.
std::string slowdown_reasons(std::uint64_t clock_reasons);

}  // namespace orrery::calibrate
