// The tile model by hand: one SM's rate 1e12 FLOP/s, launch 2 us, wave 1 us, no edge cost, memory
// 1e12 B/s; a split costs a second, but where its test says otherwise.

#include "hardware/tile_model.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace orrery {
namespace {

TileConstants constants() {
    TileConstants c{132e12, 0, 2e-6, 1e-6, 1};
    c.split = 1;
    return c;
}
constexpr TileDevice kDevice{132, 132, 1e12};

TileProblem problem(double m, double n, double k, double bytes = 0, double groups = 1) {
    return {groups, m, n, k, bytes, TileSet::block_scaled};
}
const double kTile = 2.0 * 128 * 128 * 1024 / 1e12 + 1e-6;  // 33.55 us and a wave

// 12 x 11 tiles of 128 are one wave on 132 SMs: a tile, wave and launch. One column of tiles more
// is a second wave; 66 SMs need two.
TEST(TileModel, CountsWholeWaves) {
    const auto c = constants();
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024), kDevice, c), 2e-6 + kTile, 1e-12);
    EXPECT_NEAR(tile_time(problem(1536, 1409, 1024), kDevice, c), 2e-6 + 2 * kTile, 1e-12);
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024), {66, 132, 1e12}, c), 2e-6 + 2 * kTile, 1e-12);
    EXPECT_NEAR(tile_time(problem(128, 1408, 1024, 0, 12), kDevice, c), 2e-6 + kTile, 1e-12);
}

// One tile and a k of 16384: alone 536.9 + 1 us. Split in 16 parts: 33.55 + 1 us, and 2 us to add.
TEST(TileModel, SplitsALongSum) {
    TileConstants c = constants();
    c.split = 2e-6;
    EXPECT_NEAR(tile_time(problem(128, 128, 16384), kDevice, c), 2e-6 + kTile + 2e-6, 1e-12);
}

// 100 us of memory traffic beside 34.55 us of arithmetic: the fourth root of the fourth powers.
// 198 tiles: the first 132 take 2/3 of the traffic's 99 us, the other 66 1/3.
TEST(TileModel, TheSlowerOfComputeAndMemoryDecidesInEachWave) {
    const auto both = [](double h) { return std::pow(std::pow(kTile, 4) + std::pow(h, 4), 0.25); };
    EXPECT_NEAR(tile_time(problem(1536, 1408, 1024, 1e8), kDevice, constants()), 2e-6 + both(1e-4),
                1e-12);
    EXPECT_NEAR(tile_time(problem(2304, 1408, 1024, 99e6), kDevice, constants()),
                2e-6 + both(66e-6) + both(33e-6), 1e-12);
}

// A busy device: 66 tiles fill half of it, so a load of 0.2 costs 10 % and a fill of 4 us 2 us.
TEST(TileModel, ABusyDeviceIsSlower) {
    TileConstants c = constants();
    c.load = 0.2;
    c.fill = 4e-6;
    const double tile = 1.1 * 2 * 128 * 128 * 1024 / 1e12 + 1e-6 + 2e-6;
    EXPECT_NEAR(tile_time(problem(768, 1408, 1024), kDevice, c), 2e-6 + tile, 1e-12);
}

// 11 x 11 tiles have no pairs: 121 tiles at 1.2 times the arithmetic, or 12 x 11 paired at once.
// 11 x 13 paired: 12 x 13 = 156 or 11 x 14 = 154, two waves; unpaired 143, two waves and slower.
TEST(TileModel, UnpairedTilesAreSlowerOrPadded) {
    TileConstants c = constants();
    c.single = 1.2;
    EXPECT_NEAR(tile_time(problem(1408, 1408, 1024), kDevice, c), 2e-6 + kTile, 1e-12);
    EXPECT_NEAR(tile_time(problem(1408, 1664, 1024), kDevice, c), 2e-6 + 2 * kTile, 1e-12);
    // 3 x 43 = 129 tiles fit one wave; 4 x 43 or 3 x 44 = 132 too.
    EXPECT_NEAR(tile_time(problem(384, 5504, 1024), kDevice, c), 2e-6 + kTile, 1e-12);
    // 131 x 1: 132 paired. 133 x 1: 134, the second wave has two.
    EXPECT_NEAR(tile_time(problem(16768, 128, 1024), kDevice, c), 2e-6 + kTile, 1e-12);
}

// This project's grouped kernel: 256 x 128 tiles, 384 rows are one and a half. Half a tile costs
// 0.8: 1.8 of two tiles, on average 0.9. Two groups of 2 x 33 tiles are one wave; 1 us to walk over
// each. At most 128 rows: 128 x 128 tiles.
TEST(TileModel, OwnGroupedKernel) {
    TileConstants c = constants();
    c.half = 0.8;
    c.group = 1e-6;
    TileProblem p{2, 384, 33 * 128, 1024, 0, TileSet::own_grouped};
    const double work = 2.0 * 256 * 128 * 1024 / 1e12;
    EXPECT_NEAR(tile_time(p, kDevice, c), 2e-6 + 2e-6 + 0.9 * work + 1e-6, 1e-12);
    p.m = 128;
    EXPECT_NEAR(tile_time(p, kDevice, c), 2e-6 + 2e-6 + kTile, 1e-12);
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
