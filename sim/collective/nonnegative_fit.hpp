#pragma once
// Least squares with coefficients that are not negative.
//
//   minimise  sum over rows  ((x . f_r - value_r) / scale_r)^2,  x_i >= 0
//
// A column without a row that uses it, or whose coefficient comes out negative (the most negative
// first), is left out: 0.

#include <vector>

namespace orrery {

struct FitRow {
    std::vector<double> features;
    double value = 0;
    double scale = 1;  // > 0: errors count relative to it
};

// One coefficient a feature; all rows have equally many.
std::vector<double> nonnegative_fit(const std::vector<FitRow>& rows);

}  // namespace orrery
