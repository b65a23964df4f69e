#pragma once
// Kernels bound by memory traffic.
//
//   t = (floor + bytes / (copy bandwidth share(S))) K(elements, columns)    one kernel
//   t = launches floor + bytes / (copy bandwidth share(S))                  a run of small kernels
//   share(S) = min(1, S / SMs that saturate the memory)
//
// K is measured / model of the kind (family "memory": kind, rows, columns, bytes, time_us; optional
// sm, cache, clock), 1 where no table has the kind.

#include <map>
#include <optional>
#include <string>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

class MemoryTimes {
  public:
    explicit MemoryTimes(const AcceleratorProfile& profile);
    Estimate time(const MemoryOp& op, double sms) const;

    struct FamilyErrors {
        std::string kind;
        Provenance from;
        ErrorSummary errors;
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    struct Family {
        Provenance from;
        KernelTable table;
        double error = 0;
    };
    double model(double bytes, double launches, double sms) const;

    double bandwidth_, floor_, saturating_sms_, all_sms_;
    Origin base_origin_;
    std::map<std::string, Family, std::less<>> families_;
};

}  // namespace orrery
