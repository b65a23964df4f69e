#include "hardware/kernel_table.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {

namespace {

constexpr std::size_t kNeighbours = 32;
constexpr double kRange = 3;    // octaves over which values resemble each other
constexpr double kRough = 0.1;  // variance of a point alone over that of the smooth part

double covariance(double square) { return std::exp(-std::sqrt(square) / kRange); }

// Solves for both right sides in place; `matrix` is symmetric, positive definite, its lower
// triangle filled (Cholesky).
void solve_symmetric(std::vector<double>& matrix, std::vector<std::array<double, 2>>& right) {
    const std::size_t n = right.size();
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = matrix[i * n + j];
            for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
            matrix[i * n + j] = i == j ? std::sqrt(sum) : sum / matrix[j * n + j];
        }
    }
    for (std::size_t side = 0; side < 2; ++side) {
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t k = 0; k < i; ++k)
                right[i][side] -= matrix[i * n + k] * right[k][side];
            right[i][side] /= matrix[i * n + i];
        }
        for (std::size_t i = n; i-- > 0;) {
            for (std::size_t k = i + 1; k < n; ++k)
                right[i][side] -= matrix[k * n + i] * right[k][side];
            right[i][side] /= matrix[i * n + i];
        }
    }
}

}  // namespace

void KernelTable::add(const Position& position, double value) {
    points_.push_back({position, value});
}

std::vector<double> KernelTable::values() const {
    std::vector<double> values;
    for (const Point& point : points_) values.push_back(point.value);
    return values;
}

double KernelTable::square(const Position& a, const Position& b) const {
    double sum = 0;
    for (std::size_t axis = 0; axis < a.size(); ++axis) {
        const double d = scale_[axis] * (a[axis] - b[axis]);
        sum += d * d;
    }
    return sum;
}

KernelTable::Reading KernelTable::read(const Position& position) const {
    return krige(position, false);
}

KernelTable::Reading KernelTable::krige(const Position& position, bool without_same) const {
    std::vector<std::pair<double, std::size_t>> near;  // d^2, point
    near.reserve(points_.size());
    for (std::size_t i = 0; i < points_.size(); ++i) {
        const double d = square(position, points_[i].position);
        if (d >= 1e-18) {
            near.emplace_back(d, i);
        } else if (!without_same) {
            return {points_[i].value, 0};
        }
    }
    if (near.empty()) return {};
    const std::size_t count = std::min(near.size(), kNeighbours);
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end());
    near.resize(count);
    // C l = c and C o = 1; the weights l + o (1 - sum l) / sum o add up to 1.
    std::vector<double> matrix(count * count);
    std::vector<std::array<double, 2>> right(count);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            matrix[i * count + j] = covariance(
                square(points_[near[i].second].position, points_[near[j].second].position));
        }
        matrix[i * count + i] += kRough;
        right[i] = {covariance(near[i].first), 1};
    }
    solve_symmetric(matrix, right);
    double sum = 0, ones = 0, value = 0;
    for (const auto& r : right) sum += r[0], ones += r[1];
    for (std::size_t i = 0; i < count; ++i) {
        const double weight = right[i][0] + right[i][1] * (1 - sum) / ones;
        value += weight * std::log(points_[near[i].second].value);
    }
    return {std::exp(value), std::sqrt(near.front().first)};
}

double KernelTable::left_out(const Point& point) const {
    return krige(point.position, true).value / point.value - 1;
}

std::vector<double> KernelTable::leave_one_out() const {
    std::vector<double> errors;
    if (points_.size() < 2) return errors;
    for (const Point& point : points_) errors.push_back(left_out(point));
    return errors;
}

double KernelTable::typical_error() const {
    if (points_.size() < 2) return 0;
    const std::size_t step = (points_.size() + 63) / 64;
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < points_.size(); i += step, ++count) {
        sum += std::fabs(left_out(points_[i]));
    }
    return sum / count;
}

KernelTable::Position shape_position(double m, double n, double k, double groups) {
    return {std::log2(std::max(m, 1.0)), std::log2(std::max(n, 1.0)), std::log2(std::max(k, 1.0)),
            std::log2(std::max(groups, 1.0))};
}

ErrorSummary summarise(std::vector<double> errors) {
    ErrorSummary summary;
    summary.points = errors.size();
    if (errors.empty()) return summary;
    for (double& error : errors) {
        error = std::fabs(error);
        summary.mean += error / static_cast<double>(errors.size());
    }
    std::sort(errors.begin(), errors.end());
    const auto at = [&](double share) {
        const auto index = static_cast<std::size_t>(share * static_cast<double>(errors.size()));
        return errors[std::min(index, errors.size() - 1)];
    };
    summary.median = at(0.5);
    summary.p95 = at(0.95);
    summary.worst = errors.back();
    return summary;
}

}  // namespace orrery
