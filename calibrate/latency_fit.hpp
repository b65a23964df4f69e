#pragma once
// Fits measured communication times to latency + bytes / bandwidth.
//
//   t(b) = l + b / w,  l, w >= 0;  (l, 1 / w) minimise  sum over points of ((t(b_i) - t_i) / t_i)^2
//
// Relative errors, because sizes span six decades. Left out: that a protocol's pipeline fills, and
// that NCCL takes fewer channels for small messages, so that times between are not linear.

#include <cstddef>
#include <span>

namespace orrery::calibrate {

struct CostPoint {
    double bytes = 0, microseconds = 0;
};

struct CostLine {
    double latency_us = 0;
    double us_per_byte = 0;  // 1 / w
    double microseconds(double bytes) const { return latency_us + bytes * us_per_byte; }
    double gigabytes_per_second() const { return us_per_byte > 0 ? 1e-3 / us_per_byte : 0; }
};

// Throws InputError for fewer than two points.
CostLine fit_cost(std::span<const CostPoint> points);

// How well each point is predicted from the others: |predicted - measured| / measured.
struct LeaveOneOut {
    std::size_t n = 0;
    double median = 0, worst = 0;
};
// By fit_cost of the others; needs three points, else n = 0.
LeaveOneOut leave_one_out_fit(std::span<const CostPoint> points);
// By a straight line between the neighbours, as the simulator reads a table; the smallest and the
// largest size are not predicted. Points ascend in bytes.
LeaveOneOut leave_one_out_table(std::span<const CostPoint> points);

}  // namespace orrery::calibrate
