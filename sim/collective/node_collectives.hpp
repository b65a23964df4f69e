#pragma once
// Collectives inside a node from measured times.
//
//   t(n ranks, w bytes) = t0 + (m(w) - t0) r / nvlink + (L(n) - L(n0)) latency
//
// m: time measured with n0 ranks that each put w bytes on NVLink, linear in w between sizes, beyond
// the largest at its rate; t0: of the smallest message; r: NVLink rate the table was measured at;
// L(n) = ceil(log2 n); n0: n where the table has it, else the next fewer ranks, else the fewest.
// Left out: that more ranks use the links better (8 ranks reach 0.97 to 1.29 times the rate of 2).

#include <map>
#include <optional>

#include "core/sourced.hpp"
#include "hardware/cluster_profile.hpp"
#include "hardware/operator.hpp"

namespace orrery {

class NodeCollectives {
  public:
    // Family "node_collectives" of the cluster: kind, ranks, nvlink_GBps, bytes_sent, time_us.
    explicit NodeCollectives(const ClusterProfile& cluster);
    // Seconds for `ranks` ranks that each put `sent` bytes on NVLink; nullopt: kind not measured.
    std::optional<double> time(CommunicationKind kind, std::int64_t ranks, double sent) const;
    Origin origin() const { return origin_; }

  private:
    struct Curve {
        double rate = 0;                 // r, B/s
        std::map<double, double> times;  // bytes -> s
    };
    std::map<CommunicationKind, std::map<double, Curve>> curves_;  // by n0
    double nvlink_, latency_;
    Origin origin_ = Origin::measured;
};

}  // namespace orrery
