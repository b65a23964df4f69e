#pragma once
// What a deployment promises its users, and whether a run kept it.
//
//   kept = the verdict is STABLE
//          and at least `attainment` of the requests that arrived ended within all objectives
//          and every time that has a target is at most that
//
// Without objectives every request that ended is within them, so `attainment` also bounds those
// turned away or lost, of which percentiles know nothing.

#include <string>
#include <vector>

#include "serving/serving_result.hpp"

namespace orrery {

enum class ServiceTime : std::uint8_t { ttft, tpot, itl, e2e };

struct ServiceTarget {
    ServiceTime time = ServiceTime::ttft;
    double fraction = 0;  // 0.99: the value below which 99 % lie; 0: the mean
    SimDuration most = {};
    std::string name = {};  // "ttft_p99"
};
// Every name a target may have, with `most` unset.
const std::vector<ServiceTarget>& service_targets();

struct ServicePromise {
    ServiceLevel objectives = {};  // of each request
    double attainment = 0.99;      // share of requests
    std::vector<ServiceTarget> targets = {};

    bool has_objectives() const {
        return objectives.ttft.ps + objectives.tpot.ps + objectives.e2e.ps > 0;
    }
    bool any() const { return has_objectives() || !targets.empty(); }
};

// Share of the requests that arrived that ended within the objectives.
double attained(const ServingResult& result);
// What was missed and by how much, a phrase each; empty where the promise was kept.
std::vector<std::string> shortfalls(const ServicePromise& promise, const ServingResult& result);

}  // namespace orrery
