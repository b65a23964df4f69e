#pragma once
// How GPUs of one kind differ under continuous load. The power limit moves each one's clock by a
// few percent, in waves of about 0.1 s that no other GPU shares, and no two are equally good.
//
//   t_slowest(n) = t mean (1 + deviation m(n))      m(n): expected largest of n normal numbers
//
// for the slowest of n GPUs that meet after each phase of some milliseconds, as expert and tensor
// parallel ranks do; four H200s show what it says for phases of 8 ms (calibrate/README.md). mean:
// the mean GPU's time over that of the GPU the tables were measured on; deviation: relative,
// between GPUs and from moment to moment. Family "pace": load (layer_mix: a training layer's
// kernels, decode_mix: a decoding layer's), kernels (compute-bound: matrix products and attention,
// memory-bound, all), mean, deviation, gpus. Without it all are alike. Left out: tails heavier or
// lighter than normal ones (measured to 2.3 deviations), links.

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "hardware/accelerator_profile.hpp"
#include "hardware/operator.hpp"

namespace orrery {

// Expected largest of n independent standard normal numbers, by Blom: the quantile at
// (n - 3/8) / (n + 1/4); within 0.026 for every n. 0 for n <= 1.
double expected_largest(double n);

class GpuPace {
  public:
    explicit GpuPace(const AcceleratorProfile& profile);

    bool known() const { return !rows_.empty(); }
    const Provenance& from() const { return from_; }
    // Factor on the time of kernels of class `c`: of the slowest of `gpus`.
    double slowest(OperatorClass c, bool decoding, std::int64_t gpus) const;
    // Relative standard deviation of all of a training layer's kernels.
    double deviation() const;

  private:
    struct Row {
        double mean = 1, deviation = 0;
    };
    const Row* find(const char* load, const char* kernels) const;
    std::map<std::pair<std::string, std::string>, Row> rows_;  // load, kernels
    Provenance from_;
};

}  // namespace orrery
