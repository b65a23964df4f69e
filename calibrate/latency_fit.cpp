#include "calibrate/latency_fit.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "calibrate/statistics.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

LeaveOneOut summary_of(const std::vector<double>& errors) {
    if (errors.empty()) return {};
    return {errors.size(), summarize(errors).median,
            *std::max_element(errors.begin(), errors.end())};
}

}  // namespace

CostLine fit_cost(std::span<const CostPoint> points) {
    if (points.size() < 2) throw InputError("a fit of latency and bandwidth needs two points");
    // Normal equations of sum (l / t + x b / t - 1)^2.
    double aa = 0, ab = 0, bb = 0, a = 0, b = 0;
    for (const CostPoint& p : points) {
        const double u = 1 / p.microseconds, v = p.bytes / p.microseconds;
        aa += u * u;
        ab += u * v;
        bb += v * v;
        a += u;
        b += v;
    }
    const double det = aa * bb - ab * ab;
    CostLine line{0, bb > 0 ? b / bb : 0};
    if (det > 0) line = {(a * bb - b * ab) / det, (b * aa - a * ab) / det};
    if (line.latency_us < 0) line = {0, b / bb};
    if (line.us_per_byte < 0) line = {a / aa, 0};
    return line;
}

LeaveOneOut leave_one_out_fit(std::span<const CostPoint> points) {
    if (points.size() < 3) return {};
    std::vector<double> errors;
    for (std::size_t i = 0; i < points.size(); ++i) {
        std::vector<CostPoint> others(points.begin(), points.end());
        others.erase(others.begin() + std::ptrdiff_t(i));
        const double predicted = fit_cost(others).microseconds(points[i].bytes);
        errors.push_back(std::abs(predicted / points[i].microseconds - 1));
    }
    return summary_of(errors);
}

LeaveOneOut leave_one_out_table(std::span<const CostPoint> points) {
    std::vector<double> errors;
    for (std::size_t i = 1; i + 1 < points.size(); ++i) {
        const CostPoint &low = points[i - 1], &high = points[i + 1];
        const double share = (points[i].bytes - low.bytes) / (high.bytes - low.bytes);
        const double predicted = low.microseconds + share * (high.microseconds - low.microseconds);
        errors.push_back(std::abs(predicted / points[i].microseconds - 1));
    }
    return summary_of(errors);
}

}  // namespace orrery::calibrate
