#pragma once
// Percentiles of durations in memory that does not grow.
//
//   A value v in [2^e, 2^(e+1)) ps falls into one of 128 equal parts of that octave, of width
//   2^(e-7); below 256 ps every value has its own. A percentile answers with the middle of its
//   part: at most 2^(e-8) from any value there, a relative error of 1/256 = 0.39 %.
//
// Whole numbers only: adding in any order, and merging, give the same sketch. Mean, least and
// greatest are exact.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "core/time.hpp"

namespace orrery {

class DurationSketch {
  public:
    static constexpr double kRelativeError = 1.0 / 256;

    // `times` samples of `value` >= 0.
    void add(SimDuration value, std::int64_t times = 1) {
        const std::size_t part = part_of(value.ps);
        if (part >= counts_.size()) counts_.resize(part + 1, 0);
        counts_[part] += times;
        count_ += times;
        sum_ += static_cast<double>(value.ps) * static_cast<double>(times);
        least_ = std::min(least_, value.ps);
        greatest_ = std::max(greatest_, value.ps);
    }
    void merge(const DurationSketch& other);

    std::int64_t count() const { return count_; }
    SimDuration greatest() const { return {greatest_}; }
    // 0 without samples.
    Seconds mean() const;
    // The value below or at which ceil(fraction x count) samples lie (nearest rank).
    Seconds percentile(double fraction) const;

  private:
    static constexpr int kPartBits = 7;

    static std::size_t part_of(std::int64_t ps) {
        const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(ps, 0));
        const int octave = std::max(0, static_cast<int>(std::bit_width(value)) - 1 - kPartBits);
        return (static_cast<std::size_t>(octave) << kPartBits) +
               static_cast<std::size_t>(value >> octave);
    }

    std::vector<std::int64_t> counts_;
    std::int64_t count_ = 0;
    double sum_ = 0;
    std::int64_t least_ = INT64_MAX, greatest_ = 0;
};

}  // namespace orrery
