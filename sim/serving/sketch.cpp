#include "serving/sketch.hpp"

#include <cmath>

namespace orrery {

void DurationSketch::merge(const DurationSketch& other) {
    if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size(), 0);
    for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    least_ = std::min(least_, other.least_);
    greatest_ = std::max(greatest_, other.greatest_);
}

Seconds DurationSketch::mean() const {
    return Seconds(count_ == 0 ? 0.0 : sum_ * 1e-12 / static_cast<double>(count_));
}

Seconds DurationSketch::percentile(double fraction) const {
    if (count_ == 0) return Seconds(0);
    const auto rank = std::clamp<std::int64_t>(
        std::llround(std::ceil(fraction * static_cast<double>(count_))), 1, count_);
    std::int64_t below = 0;
    std::size_t part = 0;
    while ((below += counts_[part]) < rank) ++part;
    // Part p of octave o covers [m 2^o, (m + 1) 2^o), where part_of() gave (o << 7) + m.
    const std::size_t octave = part < 256 ? 0 : (part >> kPartBits) - 1;
    const auto low = static_cast<std::int64_t>(part - (octave << kPartBits)) << octave;
    const std::int64_t middle = low + ((std::int64_t{1} << octave) >> 1);
    return to_seconds(SimDuration{std::clamp(middle, least_, greatest_)});
}

}  // namespace orrery
