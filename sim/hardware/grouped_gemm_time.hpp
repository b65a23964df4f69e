#pragma once
// Grouped GEMMs: the tile model with the tiles of all groups in one grid, times a residual.
//
//   t = tile(groups, rows/groups, n, k, S) G(rows/groups, n, k, groups) L(rows/groups, n, k, S)
//
// G is measured or published / model of the same layout and precision (family "grouped_gemm":
// columns layout, precision, groups, rows_per_group, n, k and time_us or TFLOPS; optional sm);
// where no table has the layout, the residual of the dense GEMM of one group's shape. L is the
// dense GEMM's; rows on fewer SMs than all, where there are any, stand for G and L together on
// every number of SMs below all.
//
// Rows with time_us are this project's kernel: its own tiles (TileSet::own_grouped), constants of
// family "grouped_gemm_model" (layout, then the columns of gemm_model) where the profile has them,
// and without rows on fewer SMs L = 1, the tile model alone. Published rates keep the dense
// constants and know no groups.

#include <map>
#include <optional>

#include "hardware/gemm_time.hpp"

namespace orrery {

class GroupedGemmTimes {
  public:
    GroupedGemmTimes(const AcceleratorProfile& profile, const GemmTimes& dense);
    std::optional<Estimate> time(const GroupedGemm& gemm, double sms) const;

    struct FamilyErrors {
        GroupLayout layout;
        Precision precision;
        Provenance from;
        ErrorSummary errors;
    };
    std::vector<FamilyErrors> leave_one_out() const;

  private:
    struct Family {
        Provenance from;
        KernelTable table;
        double error = 0;
        bool own = false;  // this project's kernel
    };
    void read_rows(const DataTable& table);
    double model(const GroupedGemm& gemm, double sms, bool own) const;

    const GemmTimes& dense_;
    std::map<GroupLayout, TileConstants> own_;
    std::map<std::pair<GroupLayout, Precision>, Family> families_;
    std::map<std::pair<GroupLayout, Precision>, Family> limited_;  // rows on fewer SMs
};

std::string_view to_string(GroupLayout layout);
// Throws InputError naming `where`.
GroupLayout parse_layout(const std::string& text, const std::string& where);

}  // namespace orrery
