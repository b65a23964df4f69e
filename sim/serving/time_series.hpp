#pragma once
// A quantity over simulated time in memory that does not grow: at most 256 intervals of equal
// length, each with the mean over time and the greatest value; when time runs past the last,
// neighbours are merged and intervals become twice as long. Integral and maximum are exact.

#include <cstdint>
#include <vector>

#include "core/time.hpp"

namespace orrery {

class TimeSeries {
  public:
    struct Point {
        Seconds begin, end;
        double mean = 0;
        std::int64_t greatest = 0;
    };

    // The quantity is `value` from `now` on; `now` does not go back.
    void set(SimTime now, std::int64_t value) {
        if (value == value_) return;
        advance(now);
        value_ = value;
        greatest_ = value > greatest_ ? value : greatest_;
    }
    void add(SimTime now, std::int64_t delta) { set(now, value_ + delta); }
    std::int64_t value() const { return value_; }
    std::int64_t greatest() const { return greatest_; }

    // Up to `now`.
    double mean(SimTime now);
    std::vector<Point> points(SimTime now);

  private:
    static constexpr std::size_t kIntervals = 256;
    struct Interval {
        double area = 0;  // value x ps
        std::int64_t greatest = 0;
    };
    void advance(SimTime now);
    void halve();

    std::vector<Interval> intervals_;
    std::int64_t width_ps_ = 1'000'000'000;  // 1 ms at first
    std::int64_t now_ps_ = 0, value_ = 0, greatest_ = 0;
    double area_ = 0;
};

}  // namespace orrery
