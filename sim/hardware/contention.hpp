#pragma once
// What a communication kernel beside a compute kernel costs it, and what continuous load does to
// the clock.
//
//   slowdown(class, comm SMs, traffic)   linear in the traffic between measured points of the
//       nearest comm SM count; no point at 0 traffic means 1 there (family "contention": class,
//       communication_sms, communication_GBps, slowdown). Without a table: 1, origin assumed.
//   sustained   t >= flops / sustained rate: a kernel never runs faster than the rate measured
//       under continuous load (family "sustained": precision, burst_TFLOPS, sustained_TFLOPS). A
//       cap and not a factor: shapes below that rate are not limited by power.

#include <map>
#include <optional>
#include <vector>

#include "hardware/operator_time.hpp"

namespace orrery {

class Contention {
  public:
    explicit Contention(const AcceleratorProfile& profile);
    Sourced<Ratio> slowdown(OperatorClass c, const CommunicationLoad& load) const;

  private:
    struct Point {
        double sms, bandwidth, slowdown;
        Provenance from;
    };
    std::map<OperatorClass, std::vector<Point>> points_;  // sorted by (sms, bandwidth)
};

class SustainedRates {
  public:
    explicit SustainedRates(const AcceleratorProfile& profile);
    // Raises the time of `work` floating point operations to the sustained rate's. `best_rate` of
    // the precision (FLOP/s) scales a precision without a row of its own; 0: unknown.
    void apply(Estimate& estimate, Flops work, Precision precision, double best_rate) const;

  private:
    struct Rate {
        double burst, sustained;  // FLOP/s
        Origin origin;
    };
    std::map<Precision, Rate> rates_;
};

}  // namespace orrery
