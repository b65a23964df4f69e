#include "calibrate/shapes.hpp"

#include <set>

#include <gtest/gtest.h>

#include "calibrate/surface.hpp"

namespace orrery::calibrate {
namespace {

TEST(Shapes, NoShapeIsListedTwice) {
    for (const auto& cases : {gemm_grid(Precision::bf16), gemm_training_shapes()})
        EXPECT_EQ(std::set<GemmCase>(cases.begin(), cases.end()).size(), cases.size());
}

// RMSNorm of 4,096 x 7,168: 58.72 MB read and as much written, 4 bytes a row of 1/rms.
// AdamW of 2^20 parameters: reads 4 + 4 + 2 + 2, writes 4 + 2 + 2 + 2 bytes each.
// Permute of 32,768 FP8 rows of 7,168 from 28,672 tokens, with a 4-byte index a row.
TEST(Shapes, BytesByHand) {
    EXPECT_DOUBLE_EQ(memory_bytes({MemoryOpKind::rms_norm, 4096, 7168}), 117440512.0 + 16384);
    EXPECT_DOUBLE_EQ(memory_bytes({MemoryOpKind::adamw, 1 << 20, 1}), 22.0 * (1 << 20));
    EXPECT_DOUBLE_EQ(memory_bytes({MemoryOpKind::permute, 32768, 7168}),
                     (32768.0 + 28672.0) * 7168 + 4.0 * 32768);
}

TEST(Shapes, SweepRunsFromAMegabyteToAGigabyte) {
    for (const MemoryCase& c : memory_size_sweep()) {
        EXPECT_GT(memory_bytes(c), 0.4e6) << to_string(c.kind);
        EXPECT_LT(memory_bytes(c), 1.3e9) << to_string(c.kind);
    }
}

// Three operators at one point: the one with clusters of 8 is left out, the median of 1.02 and
// 1.06 is 1.04.
TEST(Surface, MedianOverOperatorsWhoseClustersFit) {
    const Table t = slowdown_surface({{"gemm", 20, 100, 1.06, 2},
                                      {"gemm", 20, 100, 1.02, 1},
                                      {"gemm", 20, 100, 1.60, 8},
                                      {"gemm", 8, 100, 1.01, 2},
                                      {"memory", 20, 0, 1.00, 1}},
                                     2);
    ASSERT_EQ(t.rows.size(), 3u);
    EXPECT_EQ(key_of(t.rows[0], 3), "gemm|8|100");
    EXPECT_EQ(key_of(t.rows[1], 7), "gemm|20|100|1.04|1.02|1.06|2");
    EXPECT_EQ(key_of(t.rows[2], 4), "memory|20|0|1");
}

}  // namespace
}  // namespace orrery::calibrate
