#pragma once
// The slowdown surface: many measured operators beside a communication kernel, reduced to one
// figure for each (operator class, communication SMs, communication bandwidth).

#include <string>
#include <vector>

#include "calibrate/table.hpp"

namespace orrery::calibrate {

struct SlowdownSample {
    std::string operator_class;  // "gemm", "memory", ...
    int communication_sms = 0;
    double communication_gbps = 0;  // device-memory traffic asked for, GB/s read + written
    double slowdown = 1;            // time beside over time alone
    int cluster_ctas = 1;           // CTAs in a cluster of the operator's kernel; 1 for none
};

// Median, least and largest slowdown per point, over operators whose clusters hold at most
// `most_cluster_ctas`: larger clusters do not fit between communication CTAs and are another
// regime. Rows are sorted by class, SMs, bandwidth.
Table slowdown_surface(const std::vector<SlowdownSample>& samples, int most_cluster_ctas);

// One row for each distinct value of the columns `by`, in order of appearance: those values, the
// median of `value`, its least and largest, and how many rows went in. Missing columns: InputError.
Table medians(const Table& table, const std::string& name, const std::vector<std::string>& by,
              const std::string& value);

}  // namespace orrery::calibrate
