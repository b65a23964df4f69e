#pragma once
// A rank's pace: how much longer its kernels take than the profile says (1 = nominal), in 32.32
// fixed point so that wall time and nominal work convert exactly the same way everywhere.

#include <cmath>
#include <cstdint>

#include "core/error.hpp"
#include "core/wide_integer.hpp"

namespace orrery {

class Pace {
  public:
    Pace() = default;
    explicit Pace(double slowness) {
        if (!(slowness > 0.001 && slowness < 1000.0)) {
            throw SimulationError("a rank's slowness must lie between 0.001 and 1000");
        }
        scale_ = static_cast<std::int64_t>(std::llround(slowness * kOne));
    }
    // Wall time of `nominal` picoseconds of work, rounded up.
    std::int64_t wall(std::int64_t nominal) const {
        if (scale_ == kOne) return nominal;
        return static_cast<std::int64_t>((static_cast<int128>(nominal) * scale_ + kOne - 1) >> 32);
    }
    // Work done in `wall` picoseconds, rounded down.
    std::int64_t nominal(std::int64_t wall) const {
        if (scale_ == kOne) return wall;
        return static_cast<std::int64_t>((static_cast<int128>(wall) << 32) / scale_);
    }
    double slowness() const { return static_cast<double>(scale_) / kOne; }

  private:
    static constexpr std::int64_t kOne = std::int64_t{1} << 32;
    std::int64_t scale_ = kOne;
};

}  // namespace orrery
