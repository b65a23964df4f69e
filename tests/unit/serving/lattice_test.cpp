#include "serving/lattice.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

// Integers up to 16 with 8 points an octave, then 17.4, 19.0, ... rounded: 16, 17, 19, 21, 23.
TEST(Lattice, PointsOfAnAxis) {
    for (std::int64_t n = 1; n <= 16; ++n) {
        const AxisCell cell = axis_cell(static_cast<double>(n), 8);
        EXPECT_EQ(cell.low, n);
        EXPECT_EQ(cell.share, 0);
    }
    const AxisCell cell = axis_cell(20, 8);
    EXPECT_EQ(cell.low, 19);
    EXPECT_EQ(cell.high, 21);
    EXPECT_DOUBLE_EQ(cell.share, 0.5);
}

TEST(Lattice, CellsTileTheAxis) {
    for (const int points : {2, 3, 8}) {
        for (double x = 1; x < 5000; x += 0.37) {
            const AxisCell cell = axis_cell(x, points);
            EXPECT_LE(static_cast<double>(cell.low), x);
            EXPECT_GE(static_cast<double>(cell.high), x);
            EXPECT_NEAR(static_cast<double>(cell.low) +
                            cell.share * static_cast<double>(cell.high - cell.low),
                        x, 1e-9);
        }
    }
}

// (256, 512] in sixteens, (512, 2048] in thirty-twos: no cell reaches over a multiple of 64.
TEST(Lattice, StepCellsDoNotCrossTiles) {
    EXPECT_EQ(step_cell(257).low, 257);
    EXPECT_EQ(step_cell(258).high, 272);
    EXPECT_EQ(step_cell(600).low, 577);
    EXPECT_EQ(step_cell(600).high, 608);
    EXPECT_EQ(step_cell(5000).high - step_cell(5000).low, 63);
    EXPECT_EQ(step_cell(9000).high - step_cell(9000).low, 127);
    for (std::int64_t n = 1; n < 20000; ++n) {
        const AxisCell cell = step_cell(static_cast<double>(n));
        EXPECT_LE(cell.low, n);
        EXPECT_GE(cell.high, n);
        EXPECT_EQ((cell.low - 1) / 128, (cell.high - 1) / 128);
        if (n > 8192) continue;
        EXPECT_EQ((cell.low - 1) / 64, (cell.high - 1) / 64);
    }
}

// Linear in each coordinate: read exactly, products of two included.
TEST(Lattice, ReadsMultilinearFunctionsExactly) {
    const auto f = [](double x, double y) { return 3 + 2 * x - y + 0.5 * x * y; };
    for (double x = 1; x < 300; x *= 1.7) {
        for (double y = 1; y < 300; y *= 1.9) {
            const double read =
                read_lattice(std::array{axis_cell(x, 3), axis_cell(y, 3)},
                             [&](const std::array<std::int64_t, 2>& at) {
                                 return f(static_cast<double>(at[0]), static_cast<double>(at[1]));
                             });
            EXPECT_NEAR(read, f(x, y), 1e-9 * std::fabs(f(x, y)));
        }
    }
}

}  // namespace
}  // namespace orrery
