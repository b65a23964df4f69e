#pragma once
// A small linear program with the origin allowed:
//
//   maximise  g . y   over  y >= 0,  A y <= b,  b > 0
//
// by the simplex method on a dense table, entering variables by lowest index (Bland: it ends). Made
// for a handful of variables and thousands of rows.

#include <array>
#include <cstddef>
#include <vector>

namespace orrery {

template <std::size_t N>
struct LinearProgram {
    std::vector<std::array<double, N>> rows = {};  // A
    std::vector<double> limits = {};               // b
    std::array<double, N> gain = {};               // g
};

// A y that satisfies every row to the last bit but rounding: what the simplex ends with, scaled
// down by the greatest violation. Variables that no row bounds are left at 0.
template <std::size_t N>
std::array<double, N> maximise(const LinearProgram<N>& program);

extern template std::array<double, 5> maximise(const LinearProgram<5>& program);

}  // namespace orrery
