#include "hardware/kernel_table.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

// Points at m = 1 (value 1) and m = 8 (value 3), three octaves apart. At m = 2 the distances are 1
// and 2 octaves, the weights 1 and 1/16: (1 + 3/16) / (17/16) = 19/17.
TEST(KernelTable, BlendsByTheFourthPowerOfTheDistance) {
    KernelTable table;
    table.add(shape_position(1, 1, 1), 1);
    table.add(shape_position(8, 1, 1), 3);
    const auto reading = table.read(shape_position(2, 1, 1));
    EXPECT_NEAR(reading.value, 19.0 / 17.0, 1e-12);
    EXPECT_NEAR(reading.distance, 1, 1e-12);
    EXPECT_EQ(table.read(shape_position(8, 1, 1)).value, 3);
    EXPECT_EQ(table.read(shape_position(8, 1, 1)).distance, 0);
    EXPECT_EQ(KernelTable().read(shape_position(2, 1, 1)).value, 1);
}

// An axis scaled by 1/2 counts half: at (2, 1, 1) the distances are 0.5 and 1, the same weights'
// ratio; at (1, 2, 1), one octave away from the first and sqrt(1 + 9/4) from the second.
TEST(KernelTable, ScalesAxes) {
    KernelTable table({0.5, 1, 1});
    table.add(shape_position(1, 1, 1), 1);
    table.add(shape_position(8, 1, 1), 3);
    EXPECT_NEAR(table.read(shape_position(2, 1, 1)).value, 19.0 / 17.0, 1e-12);
    const double far = 1 / (3.25 * 3.25);
    EXPECT_NEAR(table.read(shape_position(1, 2, 1)).value, (1 + 3 * far) / (1 + far), 1e-12);
}

// Two points predict each other: errors 3/1 - 1 and 1/3 - 1.
TEST(KernelTable, LeavesOneOut) {
    KernelTable table;
    table.add(shape_position(1, 1, 1), 1);
    table.add(shape_position(8, 1, 1), 3);
    const auto errors = table.leave_one_out();
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_NEAR(errors[0], 2, 1e-12);
    EXPECT_NEAR(errors[1], -2.0 / 3, 1e-12);
    const ErrorSummary summary = summarise(errors);
    EXPECT_NEAR(summary.median, 2, 1e-12);  // the upper of two
    EXPECT_NEAR(summary.worst, 2, 1e-12);
    EXPECT_NEAR(summary.mean, 4.0 / 3, 1e-12);
}

}  // namespace
}  // namespace orrery
