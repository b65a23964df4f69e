#include "replay/segment.hpp"

#include "builders.hpp"

namespace orrery {
namespace {

using test::op;

TEST(Segment, PrefixSumsOfEveryEnvironment) {
    SegmentTable table(3);
    const SegmentId s = table.add(std::vector{op(10, 11, 20), op(5, 6, 7)});
    EXPECT_EQ(table.total(s, 0), 15);
    EXPECT_EQ(table.total(s, 1), 17);
    EXPECT_EQ(table.total(s, 2), 27);
    EXPECT_EQ(table.prefix(s, 2)[1], 20);
}

// Alone 10 + 5, beside 20 + 7. After 4 of 10, 6 are left: 6 x 20 / 10 = 12 of 20, so the
// position beside is 8. After 12, operator 1 has 3 of 5 left: ceil(3 x 7 / 5) = ceil(4.2) = 5 of 7,
// position 20 + 2 = 22.
TEST(Segment, WorkLeftCarriesOverRoundedUp) {
    SegmentTable table(3);
    const SegmentId s = table.add(std::vector{op(10, 10, 20), op(5, 5, 7)});
    EXPECT_EQ(table.carry_over(s, 4, 0, 2), 8);
    EXPECT_EQ(table.carry_over(s, 12, 0, 2), 22);
}

TEST(Segment, BoundariesCarryOverExactly) {
    SegmentTable table(3);
    const SegmentId s = table.add(std::vector{op(10, 10, 20), op(0, 0, 0), op(5, 5, 7)});
    EXPECT_EQ(table.carry_over(s, 0, 0, 2), 0);
    EXPECT_EQ(table.carry_over(s, 10, 0, 2), 20);
    EXPECT_EQ(table.carry_over(s, 15, 0, 2), 27);
    EXPECT_EQ(table.carry_over(s, 99, 0, 2), 27);
}

// 4 x 10^18 ps of work does not overflow: the product is taken in 128 bits.
TEST(Segment, LongDurationsDoNotOverflow) {
    SegmentTable table(3);
    const std::int64_t large = 4'000'000'000'000'000'000;
    const SegmentId s = table.add(std::vector{op(large, large, large - 1)});
    EXPECT_EQ(table.carry_over(s, large / 2, 0, 2), large - 1 - large / 2);
}

}  // namespace
}  // namespace orrery
