#pragma once
// A promise as deadlines of single requests: all but `misses` of them keep these times.
//
//   objectives with attainment a   misses = n - ceil(a n)
//   percentile q of a time         misses = floor((1 - q) n) + those that may not end at all
//   mean                           at least one request keeps it: misses = n - 1
// Percentiles are read from a sketch, so their times are taken longer by its error.

#include <optional>
#include <vector>

#include "serving/service_promise.hpp"

namespace orrery {

struct Deadline {
    std::string name;                    // "slo.ttft_p99"
    double ttft = 0, tpot = 0, e2e = 0;  // s; 0: none
    std::int64_t misses = 0;
    // After arrival: the first token, and the last one of a request with so many tokens.
    std::optional<double> first() const;
    std::optional<double> last(double output) const;
};

// Of objectives and targets one by one, and of the targets together, where there are several.
std::vector<Deadline> deadlines(const ServicePromise& promise, std::int64_t requests);

}  // namespace orrery
