#pragma once
// What a calibration measures: GEMM, grouped GEMM and memory-operator shapes.
//
// The general GEMM grid is log-spaced over m 16..16,384, n 512..131,072, k 256..32,768, cut where
// one call would exceed 6 TFLOP or the weights 2^29 values. The model shapes are DeepSeek-V3's
// at 4,096 tokens: forward, input gradient, weight gradient. Even and random shapes: domains.hpp.

#include <cstdint>
#include <string>
#include <vector>

#include "hardware/operator.hpp"

namespace orrery::calibrate {

struct GemmCase {
    Gemm gemm;
    std::int64_t sms = 0;      // 0: all
    bool fp32_output = false;  // not accumulated; the router's logits
    auto operator<=>(const GemmCase&) const = default;
};

std::vector<GemmCase> gemm_grid(Precision precision);
// Training shapes of DeepSeek-V3 at 4,096 tokens on all SMs, on 112 and on 110, a share of an
// expert's rows included (8,192), and the sum of four experts (32,768) as one GEMM.
std::vector<GemmCase> gemm_training_shapes();

// rows_per_group: contiguous and masked, rows of x; k_grouped, rows summed over. FP8 block-scaled.
struct GroupedCase {
    GroupLayout layout = GroupLayout::contiguous;
    std::int64_t groups = 0, rows_per_group = 0, n = 0, k = 0;
    std::int64_t sms = 0;  // 0: all
    auto operator<=>(const GroupedCase&) const = default;
};

struct MemoryCase {
    MemoryOpKind kind = MemoryOpKind::copy;
    std::int64_t rows = 0, columns = 0;
    auto operator<=>(const MemoryCase&) const = default;
};
// DeepSeek-V3's memory operators at 4,096 tokens and 32,768 expert rows.
std::vector<MemoryCase> memory_training_shapes();
// Each kind at about 1 MB, 4 MB, ... 1 GB moved a call.
std::vector<MemoryCase> memory_size_sweep();
// Kernels with next to nothing to do: four kinds on 2,048 values.
std::vector<MemoryCase> memory_floor();
constexpr std::int64_t kFloorRows = 16, kFloorColumns = 128;
// Tokens for each expert row at the receiving rank: 64 ranks, 8 of 256 experts a token, 4 experts a
// rank send on average 8 / 7 rows a distinct token (uniform routing over at most 4 nodes
// gives 1.13).
constexpr double kTokensPerExpertRow = 0.875;
// Bytes read and written by one call of the kernels in kernels/: each operand once.
double memory_bytes(const MemoryCase& c);

}  // namespace orrery::calibrate
