#pragma once
// Which operators a profile's tables have rows near, whoever measured or published them; and how
// the others are written down for `orrery-calibrate --missing`.
//
//   gemm, grouped_gemm  a row of the precision (layout, accumulate) within 1.5 octaves in
//                       (m, n, k), and one within 8 SMs of those asked for, on less than all
//   attention           a row of the pass, mask and head dims within an octave of the length;
//                       decode: of the head dims, batch and keys within two octaves each, or rates
//   memory              a row of the kind within 3 octaves in (elements, columns)
//
// These are the distances beyond which prices count as derived. Runs of many small launches and
// what has no kernel of its own (attention's helpers) are priced by rule and never missing.

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "hardware/accelerator_profile.hpp"
#include "hardware/kernel_table.hpp"
#include "hardware/operator.hpp"

namespace orrery {

class TableCoverage {
  public:
    explicit TableCoverage(const AcceleratorProfile& profile);
    // `sms`: that the operator may use.
    bool near(const Operator& op, double sms) const;

  private:
    struct Row {
        KernelTable::Position at;  // log2 of the shape
        double sms;
    };
    using Rows = std::vector<Row>;
    bool near_rows(const Rows* rows, const Row& asked, double reach) const;
    void read_gemms(const AcceleratorProfile& profile);
    void read_grouped(const AcceleratorProfile& profile);
    void read_attention(const AcceleratorProfile& profile);
    void read_memory(const AcceleratorProfile& profile);

    double all_sms_;
    bool decode_rates_ = false;
    std::map<std::string, Rows, std::less<>> rows_;  // by family and what has to be the same
};

// One entry of the file that --missing reads, a JSON object on a line: kind, shape, SMs where they
// are not all, and the operator's name. nullopt for what no kernel is measured for.
std::optional<std::string> missing_shape(const Operator& op, double sms, double all_sms);

}  // namespace orrery
