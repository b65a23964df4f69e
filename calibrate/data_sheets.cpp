#include "calibrate/data_sheets.hpp"

#include <fmt/format.h>

namespace orrery::calibrate {
namespace {

struct Sheet {
    const char* name;  // as CUDA prints it
    const char* memory;
    const char* bandwidth;
    const char* bf16;
    const char* fp8;
    const char* citation;
};

// Dense rates. Only GPUs that the kernels run on: compute capability 9.0.
constexpr Sheet kSheets[] = {
    {"NVIDIA H100 80GB HBM3", "80 GB", "3.35 TB/s", "989 TFLOP/s", "1979 TFLOP/s",
     "NVIDIA H100 data sheet: SXM5, dense"},
    {"NVIDIA H100 PCIe", "80 GB", "2 TB/s", "756 TFLOP/s", "1513 TFLOP/s",
     "NVIDIA H100 data sheet (2022): PCIe, dense"},
    {"NVIDIA H100 NVL", "94 GB", "3.9 TB/s", "835 TFLOP/s", "1671 TFLOP/s",
     "NVIDIA H100 data sheet: NVL, dense"},
    {"NVIDIA H200", "141 GB", "4.8 TB/s", "989 TFLOP/s", "1979 TFLOP/s",
     "NVIDIA H200 data sheet: SXM, dense"},
    {"NVIDIA H200 NVL", "141 GB", "4.8 TB/s", "835 TFLOP/s", "1671 TFLOP/s",
     "NVIDIA H200 data sheet: NVL, dense"},
    {"NVIDIA GH200 480GB", "96 GB", "4 TB/s", "989 TFLOP/s", "1979 TFLOP/s",
     "NVIDIA GH200 data sheet: HBM3, dense"},
    {"NVIDIA H800", "80 GB", "3.35 TB/s", "989 TFLOP/s", "1979 TFLOP/s",
     "NVIDIA H800: as the H100 SXM5 but for NVLink and FP64"},
    {"NVIDIA H20", "96 GB", "4 TB/s", "148 TFLOP/s", "296 TFLOP/s", "NVIDIA H20 data sheet, dense"},
};

constexpr double kHopperFlopsACycle = 4096;  // of an SM's tensor cores, BF16, dense

std::vector<SheetValue> derived_sheet(const DeviceFacts& f) {
    std::vector<SheetValue> values;
    values.push_back({"memory",
                      fmt::format("{:.2f} GB", f.memory_bytes / 1e9),
                      {Origin::measured, "what CUDA can address on " + f.name}});
    if (f.memory_clock_mhz > 0 && f.memory_bus_bits > 0)
        values.push_back(
            {"memory_bandwidth",
             fmt::format("{:.0f} GB/s", 2 * f.memory_clock_mhz * f.memory_bus_bits / 8 / 1000),
             {Origin::derived,
              fmt::format("{} has no data sheet here: 2 x {:.0f} MHz x {:.0f} bit, as the driver "
                          "gives them",
                          f.name, f.memory_clock_mhz, f.memory_bus_bits)}});
    const double rate = f.major == 9 ? kHopperFlopsACycle : 0;
    for (const auto& [key, factor] : {std::pair{"peak_bf16", 1.0}, {"peak_fp8", 2.0}}) {
        const double peak = f.sms * f.highest_clock_mhz * 1e6 * rate * factor;
        if (peak <= 0) continue;
        values.push_back(
            {key,
             fmt::format("{:.0f} TFLOP/s", peak / 1e12),
             {Origin::derived,
              fmt::format("{} has no data sheet here: {:.0f} SMs x {:.0f} MHz x {:.0f} FLOP a "
                          "cycle and SM (NVIDIA H100 architecture white paper, compute capability "
                          "{}.{})",
                          f.name, f.sms, f.highest_clock_mhz, rate * factor, f.major, f.minor)}});
    }
    return values;
}

}  // namespace

std::vector<SheetValue> data_sheet(const DeviceFacts& facts) {
    for (const Sheet& s : kSheets) {
        if (facts.name != s.name) continue;
        std::vector<SheetValue> values;
        for (const auto& [key, value] : {std::pair{"memory", s.memory},
                                         {"memory_bandwidth", s.bandwidth},
                                         {"peak_bf16", s.bf16},
                                         {"peak_fp8", s.fp8}})
            values.push_back({key, value, {Origin::specified, s.citation}});
        return values;
    }
    return derived_sheet(facts);
}

}  // namespace orrery::calibrate
