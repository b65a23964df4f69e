#include "collective/nonnegative_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace orrery {
namespace {

using Matrix = std::vector<std::vector<double>>;

// Gauss with pivots; the last column is the right side. A singular column gets 0.
std::vector<double> solve(Matrix m) {
    const std::size_t n = m.size();
    for (std::size_t i = 0; i < n; ++i) {
        std::size_t pivot = i;
        for (std::size_t j = i; j < n; ++j) {
            if (std::abs(m[j][i]) > std::abs(m[pivot][i])) pivot = j;
        }
        std::swap(m[i], m[pivot]);
        if (std::abs(m[i][i]) < 1e-12) continue;
        for (std::size_t j = 0; j < n; ++j) {
            if (j == i) continue;
            const double f = m[j][i] / m[i][i];
            for (std::size_t k = i; k <= n; ++k) m[j][k] -= f * m[i][k];
        }
    }
    std::vector<double> x(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
        if (std::abs(m[i][i]) >= 1e-12) x[i] = m[i][n] / m[i][i];
    }
    return x;
}

// Coefficients of the chosen columns; each is scaled to unit length first, for the pivots' sake.
std::vector<double> fit(const std::vector<FitRow>& rows, const std::vector<std::size_t>& columns) {
    std::vector<double> scale(columns.size(), 0.0);
    for (std::size_t i = 0; i < columns.size(); ++i) {
        for (const FitRow& row : rows) {
            scale[i] += std::pow(row.features[columns[i]] / row.scale, 2);
        }
        scale[i] = std::sqrt(scale[i]);
    }
    Matrix m(columns.size(), std::vector<double>(columns.size() + 1, 0.0));
    for (const FitRow& row : rows) {
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const double a = row.features[columns[i]] / row.scale / scale[i];
            for (std::size_t j = 0; j < columns.size(); ++j) {
                m[i][j] += a * row.features[columns[j]] / row.scale / scale[j];
            }
            m[i][columns.size()] += a * row.value / row.scale;
        }
    }
    std::vector<double> x = solve(std::move(m));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] /= scale[i];
    return x;
}

}  // namespace

std::vector<double> nonnegative_fit(const std::vector<FitRow>& rows) {
    if (rows.empty()) return {};
    std::vector<std::size_t> columns;
    for (std::size_t i = 0; i < rows.front().features.size(); ++i) {
        const bool is_used = std::any_of(rows.begin(), rows.end(),
                                         [&](const FitRow& row) { return row.features[i] != 0; });
        if (is_used) columns.push_back(i);
    }
    std::vector<double> result(rows.front().features.size(), 0.0);
    while (!columns.empty()) {
        const std::vector<double> x = fit(rows, columns);
        const auto lowest = std::min_element(x.begin(), x.end());
        if (*lowest >= 0) {
            for (std::size_t i = 0; i < columns.size(); ++i) result[columns[i]] = x[i];
            break;
        }
        columns.erase(columns.begin() + (lowest - x.begin()));
    }
    return result;
}

}  // namespace orrery
