// The simplex method against programs solved by hand and against corners tried one by one.
#include "serving/linear_program.hpp"

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace orrery {
namespace {

double value(const LinearProgram<5>& program, const std::array<double, 5>& y) {
    double sum = 0;
    for (std::size_t v = 0; v < 5; ++v) sum += program.gain[v] * y[v];
    return sum;
}

}  // namespace

// Maximise 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18 (Wyndor Glass, Hillier and Lieberman):
// x = 2, y = 6, value 36. The other variables cost.
TEST(LinearProgram, TextbookExample) {
    LinearProgram<5> program;
    program.rows = {{1, 0, 0, 0, 0}, {0, 2, 0, 0, 0}, {3, 2, 0, 0, -1}};
    program.limits = {4, 12, 18};
    program.gain = {3, 5, 0, 0, -10};
    const auto y = maximise(program);
    EXPECT_NEAR(y[0], 2, 1e-12);
    EXPECT_NEAR(y[1], 6, 1e-12);
    EXPECT_NEAR(value(program, y), 36, 1e-12);
}

// With -2 instead of -10 it pays to buy v: 3x + 2y - v <= 18 is loosened until x = 4, v = 6:
// 12 + 30 - 12 = 30 < 36 (v costs 2 a unit, a unit of x 3 v): not worth it. With -0.5: 12 + 30 - 3
// = 39.
TEST(LinearProgram, BuysWhatPays) {
    LinearProgram<5> program;
    program.rows = {{1, 0, 0, 0, 0}, {0, 2, 0, 0, 0}, {3, 2, 0, 0, -1}};
    program.limits = {4, 12, 18};
    program.gain = {3, 5, 0, 0, -0.5};
    EXPECT_NEAR(value(program, maximise(program)), 39, 1e-12);
}

// What no row bounds stays at 0, and the rest is found.
TEST(LinearProgram, UnboundedVariablesStayOut) {
    LinearProgram<5> program;
    program.rows = {{1, 0, 0, 0, 0}};
    program.limits = {4};
    program.gain = {1, 0, 7, 0, 0};
    const auto y = maximise(program);
    EXPECT_EQ(y[0], 4);
    EXPECT_EQ(y[2], 0);
}

// Random programs in two variables: every corner where two constraints meet is tried.
TEST(LinearProgram, FindsTheBestCorner) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        LinearProgram<5> program;
        std::uint64_t draw = 0;
        const auto uniform = [&] { return 0.1 + counter_uniform(seed, 7, draw++); };
        for (int r = 0; r < 12; ++r) {
            program.rows.push_back({uniform(), uniform(), 0, 0, 0});
            program.limits.push_back(uniform());
        }
        program.gain = {uniform(), uniform(), 0, 0, 0};
        double best = 0;
        const auto consider = [&](double x, double y) {
            if (x < 0 || y < 0) return;
            for (std::size_t r = 0; r < program.rows.size(); ++r) {
                if (program.rows[r][0] * x + program.rows[r][1] * y >
                    program.limits[r] * (1 + 1e-12)) {
                    return;
                }
            }
            best = std::max(best, program.gain[0] * x + program.gain[1] * y);
        };
        for (std::size_t i = 0; i < program.rows.size(); ++i) {
            const auto& [a, b, u, v, w] = program.rows[i];
            consider(program.limits[i] / a, 0);
            consider(0, program.limits[i] / b);
            for (std::size_t j = 0; j < i; ++j) {
                const auto& [c, d, x, y, z] = program.rows[j];
                const double det = a * d - b * c;
                consider((program.limits[i] * d - b * program.limits[j]) / det,
                         (a * program.limits[j] - c * program.limits[i]) / det);
            }
        }
        EXPECT_NEAR(value(program, maximise(program)), best, 1e-9 * best) << seed;
    }
}

}  // namespace orrery
