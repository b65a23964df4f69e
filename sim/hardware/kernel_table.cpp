#include "hardware/kernel_table.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {

void KernelTable::add(const Position& position, double value) {
    points_.push_back({position, value});
}

std::vector<double> KernelTable::values() const {
    std::vector<double> values;
    for (const Point& point : points_) values.push_back(point.value);
    return values;
}

KernelTable::Reading KernelTable::read(const Position& position) const {
    return blend(position, false);
}

KernelTable::Reading KernelTable::blend(const Position& position, bool without_same) const {
    double sum = 0, weights = 0, nearest = std::numeric_limits<double>::infinity();
    for (const Point& point : points_) {
        double square = 0;
        for (std::size_t axis = 0; axis < position.size(); ++axis) {
            const double d = scale_[axis] * (position[axis] - point.position[axis]);
            square += d * d;
        }
        if (square < 1e-18) {
            if (without_same) continue;
            return {point.value, 0};
        }
        nearest = std::min(nearest, square);
        const double weight = 1 / (square * square);
        sum += weight * point.value;
        weights += weight;
    }
    if (weights == 0) return {};
    return {sum / weights, std::sqrt(nearest)};
}

double KernelTable::left_out(const Point& point) const {
    return blend(point.position, true).value / point.value - 1;
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

KernelTable::Position shape_position(double m, double n, double k) {
    return {std::log2(std::max(m, 1.0)), std::log2(std::max(n, 1.0)), std::log2(std::max(k, 1.0))};
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
