#include "hardware/grouped_gemm_time.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

// One group's GEMM; the residual of dense tables is read at its shape.
Gemm one_group(const GroupedGemm& g) {
    const std::int64_t rows =
        std::max<std::int64_t>(1, g.rows / std::max<std::int64_t>(1, g.groups));
    if (g.layout == GroupLayout::k_grouped) return {g.n, g.k, rows, g.precision, true};
    return {rows, g.n, g.k, g.precision, false};
}

KernelTable::Position position_of(const GroupedGemm& g) {
    return shape_position(static_cast<double>(g.rows) / static_cast<double>(g.groups),
                          static_cast<double>(g.n), static_cast<double>(g.k),
                          static_cast<double>(g.groups));
}

constexpr KernelTable::Position kOwnScale = {0.7, 1, 1, 0.7}, kPublishedScale = {1, 1, 1, 0};

}  // namespace

std::string_view to_string(GroupLayout layout) {
    switch (layout) {
        case GroupLayout::contiguous:
            return "contiguous";
        case GroupLayout::masked:
            return "masked";
        case GroupLayout::k_grouped:
            return "k_grouped";
    }
    return "";
}

GroupLayout parse_layout(const std::string& text, const std::string& where) {
    for (const GroupLayout l :
         {GroupLayout::contiguous, GroupLayout::masked, GroupLayout::k_grouped}) {
        if (text == to_string(l)) return l;
    }
    throw InputError(
        fmt::format("{} = \"{}\": must be contiguous, masked or k_grouped", where, text));
}

GroupedGemmTimes::GroupedGemmTimes(const AcceleratorProfile& profile, const GemmTimes& dense)
    : dense_(dense) {
    if (const DataTable* constants = profile.find_table("grouped_gemm_model")) {
        const auto layout = constants->column("layout");
        for (std::size_t i = 0; i < constants->rows(); ++i) {
            own_[parse_layout(constants->texts[i][layout],
                              fmt::format("{}: rows[{}].layout", constants->file, i))] =
                read_tile_constants(*constants, i);
        }
    }
    for (const DataTable* table : profile.find_tables("grouped_gemm")) read_rows(*table);
    for (auto& [key, known] : families_) known.error = known.table.typical_error();
}

void GroupedGemmTimes::read_rows(const DataTable& table) {
    const auto layout = table.column("layout"), precision = table.column("precision");
    const auto groups = table.column("groups"), rows = table.column("rows_per_group");
    const auto n = table.column("n"), k = table.column("k");
    const bool timed = table.has_column("time_us");
    const auto value = table.column(timed ? "time_us" : "TFLOPS");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        const auto where = [&](const char* c) {
            return fmt::format("{}: rows[{}].{}", table.file, i, c);
        };
        const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
        GroupedGemm gemm;
        gemm.layout = parse_layout(table.texts[i][layout], where("layout"));
        gemm.precision = parse_precision(table.texts[i][precision], where("precision"));
        gemm.groups = integer(groups);
        gemm.rows = integer(groups) * integer(rows);
        gemm.n = integer(n);
        gemm.k = integer(k);
        if (dense_.constants(gemm.precision) == nullptr) {
            throw InputError(fmt::format("{} = {}: needs a row in table gemm_model",
                                         where("precision"), to_string(gemm.precision)));
        }
        const double all_sms = dense_.device().all_sms;
        const double sms = std::min(all_sms, table.number(i, "sm", all_sms));
        Family& known = (sms < all_sms ? limited_ : families_)[{gemm.layout, gemm.precision}];
        if (known.table.empty()) {
            known = {table.from, KernelTable(timed ? kOwnScale : kPublishedScale), 0, timed};
        }
        // A stronger table has the layout, or another kernel's.
        if (known.from.origin != table.from.origin || known.own != timed) continue;
        const double time =
            timed ? row[value] * 1e-6 : flops(Operator{"", gemm}).value() / (row[value] * 1e12);
        known.table.add(position_of(gemm), time / model(gemm, sms, timed));
    }
}

double GroupedGemmTimes::model(const GroupedGemm& gemm, double sms, bool own) const {
    TileDevice device = dense_.device();
    device.sms = sms;
    TileProblem problem = tile_problem(gemm);
    const auto constants = own_.find(gemm.layout);
    if (!own || constants == own_.end()) {
        return tile_time(problem, device, *dense_.constants(gemm.precision));
    }
    problem.tiles = TileSet::own_grouped;
    return tile_time(problem, device, constants->second);
}

std::optional<Estimate> GroupedGemmTimes::time(const GroupedGemm& gemm, double sms) const {
    if (dense_.constants(gemm.precision) == nullptr) return std::nullopt;
    const bool all = sms >= dense_.device().all_sms;
    Gemm group = one_group(gemm);
    auto dense = dense_.residual(group, sms);
    if (!dense && group.accumulate) {
        group.accumulate = false;
        dense = dense_.residual(group, sms);
    }
    auto known = families_.find({gemm.layout, gemm.precision});
    // Rows on fewer SMs, where they are of the same origin as those on all.
    const auto fewer = limited_.find({gemm.layout, gemm.precision});
    const bool there = !all && fewer != limited_.end() && known != families_.end() &&
                       fewer->second.from.origin == known->second.from.origin;
    if (there) known = fewer;
    Estimate estimate;
    double factor = 1;
    if (known != families_.end()) {
        const auto reading = known->second.table.read(position_of(gemm));
        factor = reading.value;
        estimate.origin = known->second.from.origin;
        // A handful of rows that agree says little of other shapes: at least the dense table's
        // error.
        if (reading.distance > 0) {
            estimate.spread = std::max(known->second.error, dense ? dense->error : 0) *
                              std::clamp(reading.distance, 1.0, 3.0);
        }
        if (reading.distance > 1.5) estimate.origin = weakest(estimate.origin, Origin::derived);
        estimate.rule = fmt::format(
            "grouped_gemm table {} {}, {}", to_string(gemm.layout), to_string(gemm.precision),
            reading.distance == 0 ? "published or measured shape" : "interpolated");
        if (there) {
            estimate.rule += ", on fewer SMs";
        } else if (!all && known->second.own) {  // the tile model alone
            estimate.spread = std::max(estimate.spread, known->second.error);
            estimate.origin = weakest(estimate.origin, Origin::derived);
        } else if (!all && dense) {  // what fewer SMs do to the dense GEMM of one group
            factor *= dense->value / dense_.residual(group, dense_.device().all_sms)->value;
            estimate.spread = std::max(estimate.spread, dense->error) + dense->extra;
            estimate.origin = weakest(estimate.origin, Origin::derived);
        }
    } else {
        if (!dense) return std::nullopt;
        factor = dense->value;
        estimate.origin = weakest(dense->origin, Origin::derived);
        estimate.spread = dense->error * (1 + std::min(dense->distance, 3.0)) + dense->extra;
        estimate.rule = fmt::format(
            "no {} {} table: tile model over all groups x residual of the "
            "dense GEMM of one group",
            to_string(gemm.layout), to_string(gemm.precision));
    }
    const bool own = known != families_.end() && known->second.own;
    estimate.time = Seconds(model(gemm, sms, own) * factor);
    return estimate;
}

std::vector<GroupedGemmTimes::FamilyErrors> GroupedGemmTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const auto& [key, known] : families_) {
        result.push_back(
            {key.first, key.second, known.from, summarise(known.table.leave_one_out())});
    }
    return result;
}

}  // namespace orrery
