#include "calibrate/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace orrery::calibrate {
namespace {

double mean(std::span<const double> v) {
    return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size());
}

}  // namespace

Summary summarize(std::span<const double> samples) {
    Summary s;
    s.n = samples.size();
    s.spread = 1;
    if (samples.empty()) return s;
    std::vector<double> x(samples.begin(), samples.end());
    std::sort(x.begin(), x.end());
    const std::size_t n = x.size();
    const auto rank = [&](double share) {
        const auto r = std::size_t(std::ceil(share * double(n)));
        return x[std::clamp<std::size_t>(r, 1, n) - 1];
    };
    s.median = (x[(n - 1) / 2] + x[n / 2]) / 2;
    s.low = rank(0.05);
    s.high = rank(0.95);
    if (n < 5 || s.median <= 0) return s;
    const double middle = double(n - 1) / 2, reach = 1.96 * std::sqrt(double(n)) / 2;
    const auto lower = std::size_t(std::max(0.0, std::floor(middle - reach)));
    const auto upper = std::min(n - 1, std::size_t(std::ceil(middle + reach)));
    s.spread = (x[upper] - x[lower]) / 2 / s.median;
    return s;
}

bool enough(const Summary& summary, double seconds, const StoppingRule& rule) {
    if (summary.n < rule.at_least) return false;
    return summary.n >= rule.at_most || summary.spread < rule.spread || seconds > rule.seconds;
}

bool throttled(const ClockedSample& sample, double highest_mhz, double share) {
    return sample.clock_mhz > 0 && sample.clock_mhz < share * highest_mhz;
}

bool settled(std::span<const double> clocks, double tolerance) {
    if (clocks.size() < 6) return false;
    const auto tail = clocks.subspan(clocks.size() / 3);
    const double a = mean(tail.first(tail.size() / 2)), b = mean(tail.subspan(tail.size() / 2));
    return std::abs(a - b) < tolerance * (a + b) / 2;
}

}  // namespace orrery::calibrate
