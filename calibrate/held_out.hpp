#pragma once
// Shapes that no price is read from: measured once, apart from a profile's tables, and compared
// with the operator time model (orrery operator check --held-out). Drawn at random over the domains
// of domains.hpp from a seed that is written down (calibrate/README.md) before measuring.

#include <cstdint>
#include <vector>

#include "calibrate/domains.hpp"

namespace orrery::calibrate {

constexpr std::size_t kHeldOutCases = 100;

struct HeldOutShapes {
    std::vector<GemmCase> gemms;                       // 100 a precision on all SMs
    std::vector<GemmCase> fewer_sms;                   // 34 a precision on 112 SMs
    std::vector<GroupedCase> grouped;                  // 100 a layout
    std::vector<Attention> forward, backward, decode;  // 100 each
    std::vector<MemoryCase> memory;                    // 6 a kind
    std::vector<MemoryCase> copies;                    // 100
};
HeldOutShapes held_out_shapes(std::uint64_t seed);

// What the tables that prices are read from hold beside the regular grids: shapes spread evenly
// over the same domains.
std::vector<GemmCase> gemm_scatter(Precision precision);
// On 112, 96 and 64 SMs, at the first shapes of gemm_scatter: their ratio to the time on all SMs.
std::vector<GemmCase> gemm_scatter_fewer_sms(Precision precision);
std::vector<GroupedCase> grouped_scatter();
std::vector<MemoryCase> memory_scatter();

}  // namespace orrery::calibrate
