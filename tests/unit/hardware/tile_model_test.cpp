// The tile model by hand: one SM's rate 1e12 FLOP/s, launch 2 us, wave 1 us, no edge cost, memory
// 1e12 B/s.

#include "hardware/tile_model.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr TileConstants kConstants{132e12, 0, 2e-6, 1e-6, 1};
constexpr TileDevice kDevice{132, 132, 1e12};

TileProblem problem(double m, double n, double k, double bytes = 0, double groups = 1) {
    return {groups, m, n, k, bytes, Precision::fp8_block};
}

// 12 x 11 tiles of 128 are one wave on 132 SMs: 2*128*128*1024 / 1e12 = 33.55 us, wave and launch.
// One column of tiles more is a second wave; 66 SMs need two.
TEST(TileModel, CountsWholeWaves) {
    const double tile = 2.0 * 128 * 128 * 1024 / 1e12 + 1e-6;
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024), kDevice, kConstants), 2e-6 + tile, 1e-12);
    EXPECT_NEAR(tile_time(problem(1536, 1409, 1024), kDevice, kConstants), 2e-6 + 2 * tile, 1e-12);
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024), {66, 132, 1e12}, kConstants), 2e-6 + 2 * tile,
                1e-12);
    EXPECT_NEAR(tile_time(problem(128, 1408, 1024, 0, 12), kDevice, kConstants), 2e-6 + tile,
                1e-12);
}

// One tile and a k of 16384: alone 536.9 + 1 us. Split in 16 parts: 33.55 + 1 us, then a second
// kernel (2 us) that reads and writes 16 FP32 copies: 8*16*128*128 B at 1e12 B/s = 2.1 us.
TEST(TileModel, SplitsALongSum) {
    const double part = 2.0 * 128 * 128 * 1024 / 1e12 + 1e-6;
    const double reduce = 2e-6 + 8.0 * 16 * 128 * 128 / 1e12;
    EXPECT_NEAR(tile_time(problem(128, 128, 16384), kDevice, kConstants), 2e-6 + part + reduce,
                1e-12);
}

// 100 us of memory traffic beside 34.55 us of arithmetic: the fourth root of the fourth powers.
TEST(TileModel, TheSlowerOfComputeAndMemoryDecides) {
    const double tile = 2.0 * 128 * 128 * 1024 / 1e12 + 1e-6;
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024, 1e8), kDevice, kConstants),
                2e-6 + std::pow(std::pow(tile, 4) + std::pow(1e-4, 4), 0.25), 1e-12);
}

// Weight gradients of 4 experts: each an n x k result summed over its share of the rows.
TEST(TileModel, GroupsAreEqualProblems) {
    const TileProblem w = tile_problem(
        GroupedGemm{4, 32768, 4096, 7168, Precision::fp8_block, GroupLayout::k_grouped});
    EXPECT_EQ(w.groups, 4);
    EXPECT_EQ(w.m, 4096);
    EXPECT_EQ(w.n, 7168);
    EXPECT_EQ(w.k, 8192);
    const TileProblem f = tile_problem(GroupedGemm{4, 32768, 4096, 7168, Precision::fp8_block});
    EXPECT_EQ(f.m, 8192);
    EXPECT_EQ(f.n, 4096);
    EXPECT_EQ(f.k, 7168);
}

}  // namespace
}  // namespace orrery
