#pragma once
// What a communication kernel beside a compute kernel costs it.
//
//   slowdown(class, comm SMs, traffic)   linear in the traffic between measured points of the
//       nearest comm SM count; no point at 0 traffic means 1 there (family "contention": class,
//       communication_sms, communication_GBps, slowdown). Without a table: 1, origin assumed.

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

}  // namespace orrery
