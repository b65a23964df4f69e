#include "serving/time_series.hpp"

#include <algorithm>

namespace orrery {

void TimeSeries::halve() {
    for (std::size_t i = 0; 2 * i < intervals_.size(); ++i) {
        Interval merged = intervals_[2 * i];
        if (2 * i + 1 < intervals_.size()) {
            merged.area += intervals_[2 * i + 1].area;
            merged.greatest = std::max(merged.greatest, intervals_[2 * i + 1].greatest);
        }
        intervals_[i] = merged;
    }
    intervals_.resize((intervals_.size() + 1) / 2);
    width_ps_ *= 2;
}

void TimeSeries::advance(SimTime now) {
    while (static_cast<std::uint64_t>(now.ps / width_ps_) >= kIntervals) halve();
    while (now_ps_ < now.ps) {
        const std::int64_t index = now_ps_ / width_ps_;
        const std::int64_t end = std::min(now.ps, (index + 1) * width_ps_);
        if (static_cast<std::size_t>(index) >= intervals_.size()) {
            intervals_.resize(static_cast<std::size_t>(index) + 1);
        }
        Interval& interval = intervals_[static_cast<std::size_t>(index)];
        const double area = static_cast<double>(value_) * static_cast<double>(end - now_ps_);
        interval.area += area;
        interval.greatest = std::max(interval.greatest, value_);
        area_ += area;
        now_ps_ = end;
    }
}

double TimeSeries::mean(SimTime now) {
    advance(now);
    return now_ps_ == 0 ? 0.0 : area_ / static_cast<double>(now_ps_);
}

std::vector<TimeSeries::Point> TimeSeries::points(SimTime now) {
    advance(now);
    std::vector<Point> points;
    for (std::size_t i = 0; i < intervals_.size(); ++i) {
        const std::int64_t begin = static_cast<std::int64_t>(i) * width_ps_;
        const std::int64_t end = std::min(begin + width_ps_, now_ps_);
        if (end <= begin) break;
        points.push_back({to_seconds(SimTime{begin}), to_seconds(SimTime{end}),
                          intervals_[i].area / static_cast<double>(end - begin),
                          intervals_[i].greatest});
    }
    return points;
}

}  // namespace orrery
