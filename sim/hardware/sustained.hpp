#pragma once
// What continuous load does: the power limit lowers the clock, and kernels that live off the SMs
// take longer than in a burst.
//
//   t_sustained(op) = t_burst(op) P(op),  P >= 1 for matrix products
//
// P is a measured sustained time over the burst time that this profile gives the same shape, read
// between shapes by a KernelTable; for attention and grouped GEMMs over the burst time measured
// with it, by pass and by layout (family "sustained": load, class, operator, precision, m, n, k,
// sm, bytes, burst_us, time_us; m and n are rows and columns of a memory kernel). Loads: layer_mix
// and layer_mix_112 are a layer's kernels in turn, on all and on fewer SMs; alone is one kernel
// over and over, used for what the mixes lack. A grouped GEMM whose layout is in no row takes the
// factor of the dense GEMM it is like, attention the median of the mix's GEMMs, another kind of
// memory kernel the median of its memory kernels: derived. A profile without the family knows only
// bursts: origin assumed.

#include <functional>
#include <map>
#include <string>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

class SustainedTimes {
  public:
    // Burst time (s) of an operator on so many SMs.
    using Burst = std::function<double(const Operator&, double sms)>;
    SustainedTimes(const AcceleratorProfile& profile, const Burst& burst);

    // Turns a burst estimate of `op` on `sms` SMs into a sustained one.
    void apply(Estimate& estimate, const Operator& op, double sms) const;

  private:
    struct Factor {
        double value = 1;
        Origin origin = Origin::assumed;
    };
    // Precision, accumulated results, on all SMs.
    using GemmKey = std::tuple<Precision, bool, bool>;

    void read_row(const DataTable& table, std::size_t row, const Burst& burst);
    Factor gemm(const Gemm& gemm, bool all_sms) const;
    Factor memory(MemoryOpKind kind, bool all_sms) const;
    Factor grouped(const GroupedGemm& gemm, bool all_sms) const;
    Factor attention(AttentionPass pass, bool all_sms) const;
    Factor factor(const Operator& op, bool all_sms) const;

    double all_sms_;
    bool known_ = false;
    Origin origin_ = Origin::assumed;
    std::map<GemmKey, KernelTable> mix_, alone_;
    std::map<bool, std::map<std::string, double, std::less<>>> kinds_;  // all SMs -> kind -> P
    std::map<std::pair<GroupLayout, bool>, KernelTable> grouped_;       // all SMs
    // By load.
    std::map<AttentionPass, std::map<std::string, double>> attention_;
    std::map<bool, double> typical_gemm_, typical_memory_;
};

}  // namespace orrery
