#pragma once
// What continuous decoding does: its kernels read memory more than they compute, so the power limit
// takes less of the clock than under a training layer's kernels (hardware/sustained.hpp).
//
//   t_decoding(op) = t_burst(op) P(op)
//
// P: rows of family "sustained" with load decode_mix, time_us over the burst_us of the same run; by
// precision for GEMMs and by layout for grouped GEMMs, read between shapes; by kind for
// memory-bound kernels. What has no row takes the median of its class, attention but decoding's
// that of the GEMMs: derived. A profile without such rows takes what SustainedTimes says.

#include <map>
#include <string>
#include <vector>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

class DecodeLoad {
  public:
    explicit DecodeLoad(const AcceleratorProfile& profile);
    bool known() const { return known_; }
    // Turns a burst estimate of `op` into one under continuous decoding.
    void apply(Estimate& estimate, const Operator& op) const;

  private:
    struct Factor {
        double value = 1;
        bool own = false;  // of the operator's own rows
    };
    void read_row(const DataTable& table, std::size_t row);
    Factor factor(const Operator& op) const;
    Factor typical(const char* of) const;

    bool known_ = false;
    Origin origin_ = Origin::assumed;
    std::map<Precision, KernelTable> gemm_;
    std::map<GroupLayout, KernelTable> grouped_;
    std::map<std::string, double, std::less<>> kinds_;
    std::map<std::string, std::vector<double>> classes_;  // class -> all its factors
};

}  // namespace orrery
