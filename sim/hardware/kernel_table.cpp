#include "hardware/kernel_table.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {

void KernelTable::add(const Position& position, double value) {
    points_.push_back({position, value});
}

KernelTable::Reading KernelTable::read(const Position& position, std::size_t skip) const {
    double sum = 0, weights = 0, nearest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < points_.size(); ++i) {
        if (i == skip) continue;
        double square = 0;
        for (std::size_t axis = 0; axis < position.size(); ++axis) {
            const double d = scale_[axis] * (position[axis] - points_[i].position[axis]);
            square += d * d;
        }
        if (square < 1e-18) return {points_[i].value, 0};
        nearest = std::min(nearest, square);
        const double weight = 1 / (square * square);
        sum += weight * points_[i].value;
        weights += weight;
    }
    if (weights == 0) return {};
    return {sum / weights, std::sqrt(nearest)};
}

std::vector<double> KernelTable::leave_one_out() const {
    std::vector<double> errors;
    if (points_.size() < 2) return errors;
    for (std::size_t i = 0; i < points_.size(); ++i) {
        errors.push_back(read(points_[i].position, i).value / points_[i].value - 1);
    }
    return errors;
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
