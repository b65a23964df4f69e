#include "hardware/kernel_table.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace orrery {
namespace {

// Two points, ln 1 = 0 and ln 4, three octaves apart; read one octave from the first. Covariances
// a = e^-1 between them, p = e^-1/3 and q = e^-2/3 to the reading, 1.1 of a point with itself. Of
// two weights that add up to 1 the second is 1/2 + (q - p) / (2 (1.1 - a)): 0.3613.
TEST(KernelTable, KrigesTheLogarithm) {
    KernelTable table;
    table.add(shape_position(1, 1, 1), 1);
    table.add(shape_position(8, 1, 1), 4);
    const auto reading = table.read(shape_position(2, 1, 1));
    const double second =
        0.5 + (std::exp(-2.0 / 3) - std::exp(-1.0 / 3)) / (2 * (1.1 - std::exp(-1.0)));
    EXPECT_NEAR(second, 0.3613, 1e-4);
    EXPECT_NEAR(reading.value, std::pow(4, second), 1e-12);
    EXPECT_NEAR(reading.distance, 1, 1e-12);
    EXPECT_EQ(table.read(shape_position(8, 1, 1)).value, 4);
    EXPECT_EQ(table.read(shape_position(8, 1, 1)).distance, 0);
    EXPECT_EQ(KernelTable().read(shape_position(2, 1, 1)).value, 1);
}

// An axis scaled by 1/2 counts half: (4, 1, 1) is then one octave from the first point of two that
// lie at 1 and 64. Halfway between, and far off both, the geometric mean remains: 2.
TEST(KernelTable, ScalesAxes) {
    KernelTable scaled({0.5, 1, 1, 1}), plain;
    for (const double m : {1.0, 8.0}) {
        scaled.add(shape_position(m * m, 1, 1), m == 1 ? 1 : 4);
        plain.add(shape_position(m, 1, 1), m == 1 ? 1 : 4);
    }
    EXPECT_NEAR(scaled.read(shape_position(4, 1, 1)).value,
                plain.read(shape_position(2, 1, 1)).value, 1e-12);
    EXPECT_NEAR(plain.read(shape_position(std::sqrt(8), 1, 1)).value, 2, 1e-12);
    EXPECT_NEAR(plain.read(shape_position(1, 1, 1e30)).value, 2, 1e-3);
}

// Obviously right and slow: the weights of least variance among all that add up to 1, found by
// solving the bordered system with Gauss and pivots.
TEST(KernelTable, WeightsAreThoseOfTheBorderedSystem) {
    KernelTable table;
    std::vector<KernelTable::Position> at;
    std::vector<double> value;
    for (std::uint64_t i = 0; i < 12; ++i) {
        const auto draw = [&](std::uint64_t j) { return 1 + 1000 * counter_uniform(3, i, j); };
        at.push_back(shape_position(draw(0), draw(1), draw(2), draw(3)));
        value.push_back(0.5 + counter_uniform(3, i, 9));
        table.add(at.back(), value.back());
    }
    const auto x = shape_position(30, 300, 100, 7);
    const auto covariance = [](const auto& a, const auto& b) {
        double square = 0;
        for (std::size_t k = 0; k < 4; ++k) square += (a[k] - b[k]) * (a[k] - b[k]);
        return std::exp(-std::sqrt(square) / 3);
    };
    constexpr std::size_t kN = 13;
    double m[kN][kN + 1] = {};
    for (std::size_t i = 0; i + 1 < kN; ++i) {
        for (std::size_t j = 0; j + 1 < kN; ++j)
            m[i][j] = covariance(at[i], at[j]) + (i == j ? 0.1 : 0);
        m[i][kN - 1] = m[kN - 1][i] = 1;
        m[i][kN] = covariance(at[i], x);
    }
    m[kN - 1][kN] = 1;
    for (std::size_t c = 0; c < kN; ++c) {
        std::size_t pivot = c;
        for (std::size_t r = c; r < kN; ++r)
            if (std::fabs(m[r][c]) > std::fabs(m[pivot][c])) pivot = r;
        std::swap(m[c], m[pivot]);
        for (std::size_t r = 0; r < kN; ++r) {
            const double factor = r == c ? 0 : m[r][c] / m[c][c];
            for (std::size_t k = 0; k <= kN; ++k) m[r][k] -= factor * m[c][k];
        }
    }
    double expected = 0;
    for (std::size_t i = 0; i + 1 < kN; ++i) expected += m[i][kN] / m[i][i] * std::log(value[i]);
    EXPECT_NEAR(table.read(x).value, std::exp(expected), 1e-9);
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
