#include "calibrate/preflight.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace orrery::calibrate {
namespace {

constexpr unsigned kIdlePercent = 20;
constexpr int kMajor = 9, kMinor = 0;  // kernels/ is compiled for sm_90a, which runs nowhere else

struct Reason {
    std::uint64_t bit;
    const char* name;
};
// NVML's nvmlClocksEventReason*.
constexpr Reason kReasons[] = {{0x08, "hardware slowdown"},
                               {0x20, "software thermal slowdown"},
                               {0x40, "hardware thermal slowdown"},
                               {0x80, "hardware power brake"}};

std::string version(int cuda) { return fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10); }

std::string without_device(const GpuState& s) {
    if (!s.driver_library)
        return "no NVIDIA driver: libcuda.so.1 is not found (without a GPU: orrery-calibrate "
               "--from turns "
               "measurements into a profile)";
    if (s.driver_cuda > 0 && s.driver_cuda / 1000 < s.program_cuda / 1000)
        return fmt::format("the NVIDIA driver speaks CUDA {}, must speak {} or later",
                           version(s.driver_cuda), version(s.program_cuda));
    if (s.devices == 0) return "no CUDA device: the NVIDIA driver shows no GPU";
    if (s.index < 0 || s.index >= s.devices)
        return fmt::format("--device {}: must be 0 to {}", s.index, s.devices - 1);
    return "";
}

}  // namespace

std::string slowdown_reasons(std::uint64_t clock_reasons) {
    std::vector<std::string> names;
    for (const Reason& r : kReasons)
        if ((clock_reasons & r.bit) != 0) names.emplace_back(r.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

std::string refusal(const GpuState& s, const Allowed& allowed) {
    if (const std::string none = without_device(s); !none.empty()) return none;
    const std::string gpu = fmt::format("GPU {} ({})", s.index, s.name);
    if (s.major != kMajor || s.minor != kMinor)
        return fmt::format(
            "{} has compute capability {}.{}: the kernels are made for {}.{} "
            "(Hopper: H100, H200, H800)",
            gpu, s.major, s.minor, kMajor, kMinor);
    if (!allowed.busy && !s.processes.empty())
        return fmt::format(
            "{} is in use by process{} {}: its times would be wrong; wait, or pass "
            "--allow-busy",
            gpu, s.processes.size() > 1 ? "es" : "", fmt::join(s.processes, ", "));
    if (!allowed.busy && s.utilization > kIdlePercent)
        return fmt::format(
            "{} is busy ({} %): its times would be wrong; wait, or pass "
            "--allow-busy",
            gpu, s.utilization);
    const std::string slow = slowdown_reasons(s.clock_reasons);
    if (!allowed.throttled && !slow.empty())
        return fmt::format(
            "{} is throttled ({}): its times would be wrong; mend that, or pass "
            "--allow-throttled",
            gpu, slow);
    if (!allowed.throttled && s.power_limit_w > 0 && s.power_limit_w < s.default_power_limit_w - 1)
        return fmt::format(
            "{} is capped at {:.0f} W, {:.0f} W by default: its times would be "
            "those of a slower GPU; raise the limit, or pass --allow-throttled",
            gpu, s.power_limit_w, s.default_power_limit_w);
    return "";
}

}  // namespace orrery::calibrate
