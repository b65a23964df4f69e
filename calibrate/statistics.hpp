#pragma once
// Statistics of a series of timings.
//   median: the middle sample, or the mean of the two middle ones
//   half-width of the median's 95 % interval: from order statistics. With n samples the interval is
//   [x(n/2 - d), x(n/2 + d)], d = 1.96 sqrt(n) / 2 (normal approximation of the binomial);
//   spread = (upper - lower) / 2 / median

#include <cstddef>
#include <span>

namespace orrery::calibrate {

struct Summary {
    std::size_t n = 0;
    double median = 0;  // unit of the samples
    double spread = 0;  // relative half-width of the median's 95 % interval; 1 where n < 5
    double low = 0;     // 5th percentile, nearest rank
    double high = 0;    // 95th percentile, nearest rank
};

// An empty series gives n = 0 and zeros, spread 1.
Summary summarize(std::span<const double> samples);

// When a series is long enough.
struct StoppingRule {
    std::size_t at_least = 8;
    std::size_t at_most = 40;
    double spread = 0.01;  // stop once Summary::spread is below this
    double seconds = 0.4;  // stop after this much measuring, once at_least is reached
};
bool enough(const Summary& summary, double seconds, const StoppingRule& rule);

// A sample is throttled where the SM clock during it was below `share` of the highest clock.
struct ClockedSample {
    double microseconds = 0;
    double clock_mhz = 0;
};
bool throttled(const ClockedSample& sample, double highest_mhz, double share = 0.97);

// Has a clock settled? Compares the means of the last two thirds' halves of the series: true where
// they differ by less than `tolerance` of their mean.
bool settled(std::span<const double> clocks, double tolerance = 0.005);

}  // namespace orrery::calibrate
