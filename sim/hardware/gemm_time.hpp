#pragma once
// Dense GEMMs from measured tables: tile model times the measured residual.
//
//   t(m,n,k,S) = tile(m,n,k,S) R(m,n,k) L(m,n,k,S)
//   R   measured / model on all SMs, a KernelTable a precision
//   L   measured / (model x R) on S SMs, a KernelTable a measured S, linear in S between them,
//       1 on all SMs
//
// Weight gradients of a precision with fewer than 12 accumulating points, away from these:
//   t = q (t_plain + 6 m n / f bw)    FP32 C read and written where BF16 was written
//   q   median over these points of measured / that
//
// Relative spread, e and e_L the mean leave-one-out errors of R and L, d the distance to the
// nearest point: 0 at a point, else at least e (and e_L on fewer SMs). SMs that were not measured
// are derived and add e_L + half of L's step between two levels; s SMs below the lowest level S_0
// add e_L (1 + log2 S_0 / s) + |L - 1|. Accumulating by the rule above adds q's leave-one-out
// error.
//
// Families of the profile: "gemm" (columns precision, m, n, k, sm, time_us; optional accumulate,
// output, clock) and "gemm_model" (the tile constants). Without accumulating rows a weight gradient
// is the plain GEMM scaled by the model's ratio for FP32 results read and written.

#include <map>
#include <optional>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"
#include "hardware/tile_model.hpp"

namespace orrery {

class GemmTimes {
  public:
    explicit GemmTimes(const AcceleratorProfile& profile);

    // nullopt where the profile has no table of the precision.
    std::optional<Estimate> time(const Gemm& gemm, double sms) const;
    // Constants of a precision's tile model; nullptr: none.
    const TileConstants* constants(Precision precision) const;
    // Measured / model for a shape the tables know as a single GEMM, for grouped kernels.
    struct Residual {
        double value = 1;
        double distance = 0;
        Origin origin = Origin::derived;
        double error = 0;     // mean leave-one-out error of the table
        double extra = 0;     // relative spread that no point nearby takes away (SMs, accumulation)
        bool sparse = false;  // by the rule for too few accumulating points
        bool exact() const { return distance == 0 && extra == 0; }
        // Relative spread of a price: 0 at a measured point, never below the error elsewhere.
        double spread() const;
    };
    std::optional<Residual> residual(const Gemm& gemm, double sms) const;
    const TileDevice& device() const { return device_; }
    // Best rate measured with a precision, FLOP/s; 0 where no table has it.
    double best_rate(Precision precision) const;

    struct FamilyErrors {
        Precision precision;
        bool accumulate;
        Provenance from;
        ErrorSummary all_sms, limited_sms;
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    struct Family {
        Provenance from;
        KernelTable all_sms;
        std::map<double, KernelTable> limited;  // SMs -> L
        double error = 0;                       // mean leave-one-out error on all SMs
        double limited_error = 0;               // the same of L, mean over the levels
        std::vector<double> ratios;  // of accumulating points, where few: measured / rule without q
        double best_rate = 0;
    };
    using Key = std::pair<Precision, bool>;  // precision, accumulate
    struct Row {
        Gemm gemm;
        double sms, time;
    };

    void read_constants(const AcceleratorProfile& profile);
    void read_rows(const DataTable& table, std::map<Key, std::vector<Row>>& rows,
                   std::map<Key, Provenance>& from) const;
    void add_rows(Family& family, const std::vector<Row>& rows);
    const Family* family(Precision precision, bool accumulate) const;
    struct Limited {
        KernelTable::Reading reading;
        double spread = 0;
    };
    Limited limited(const Family& family, const KernelTable::Position& at, double sms) const;
    void limit(Residual& result, const Family& family, const Gemm& gemm, double sms) const;
    void add_ratios(const std::vector<Row>& rows);
    // Plain GEMM and FP32 results read and written, s.
    double plain_and_results(const Gemm& gemm, double sms) const;
    Residual sparse_residual(const Family& family, const Gemm& gemm, double sms) const;
    double model(const Gemm& gemm, double sms) const;  // s
    const Family* limited_source(const Family& own, bool accumulate) const;

    TileDevice device_;
    std::map<Precision, TileConstants> constants_;
    std::map<Key, Family> families_;
};

// Throws InputError naming `where`.
Precision parse_precision(const std::string& text, const std::string& where);

}  // namespace orrery
