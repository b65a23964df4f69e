#include "hardware/gemm_time.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

// A doubled m changes a GEMM's efficiency less than a doubled n or k: leave-one-out over the
// measured grid is lowest near this ratio and flat around it.
constexpr KernelTable::Position kScale = {0.5, 1, 1, 0};
// Beyond this distance from every measured point a reading is an extrapolation.
constexpr double kReach = 1.5;
// An accumulating table of fewer points than this prices only these points.
constexpr std::size_t kFew = 12;

KernelTable::Position position_of(const Gemm& g) {
    return shape_position(static_cast<double>(g.m), static_cast<double>(g.n),
                          static_cast<double>(g.k));
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Of every value: the median of the others over it, - 1.
std::vector<double> left_out_of_median(const std::vector<double>& values) {
    std::vector<double> errors;
    for (std::size_t i = 0; i < values.size() && values.size() > 1; ++i) {
        std::vector<double> others = values;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
        errors.push_back(median(others) / values[i] - 1);
    }
    return errors;
}

}  // namespace

double GemmTimes::Residual::spread() const {
    const double near = distance == 0 ? 0 : error * std::clamp(distance / kScale[0], 1.0, 4.3);
    return near + extra;
}

Precision parse_precision(const std::string& text, const std::string& where) {
    for (const Precision p : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block}) {
        if (text == to_string(p)) return p;
    }
    throw InputError(
        fmt::format("{} = \"{}\": must be bf16, fp8_tensor or fp8_block", where, text));
}

GemmTimes::GemmTimes(const AcceleratorProfile& profile) {
    device_.sms = device_.all_sms = profile.sms.value.value();
    device_.copy_bandwidth = profile.copy_bandwidth.value.value();
    read_constants(profile);
    std::map<Key, std::vector<Row>> rows;
    std::map<Key, Provenance> from;
    for (const DataTable* table : profile.find_tables("gemm")) read_rows(*table, rows, from);
    for (const auto& [key, list] : rows) {
        if (!constants_.contains(key.first)) {
            throw InputError(
                fmt::format("{}: table gemm_model has no row for precision {}, must "
                            "have one for every precision of table gemm",
                            profile.name, to_string(key.first)));
        }
        Family& added = families_[key];
        added.from = from[key];
        add_rows(added, list);
    }
    for (const auto& [key, list] : rows) {
        if (key.second) add_ratios(list);
    }
}

void GemmTimes::read_constants(const AcceleratorProfile& profile) {
    const DataTable* table = profile.find_table("gemm_model");
    if (table == nullptr) return;
    const auto precision = table->column("precision");
    for (std::size_t i = 0; i < table->rows(); ++i) {
        const std::string where = fmt::format("{}: rows[{}].precision", table->file, i);
        constants_[parse_precision(table->texts[i][precision], where)] =
            read_tile_constants(*table, i);
    }
}

// Rows of a table by precision and result; a precision that a stronger table has is left out.
void GemmTimes::read_rows(const DataTable& table, std::map<Key, std::vector<Row>>& rows,
                          std::map<Key, Provenance>& from) const {
    const auto precision = table.column("precision"), m = table.column("m"), n = table.column("n");
    const auto k = table.column("k"), sm = table.column("sm"), time = table.column("time_us");
    for (std::size_t i = 0; i < table.rows(); ++i) {
        const auto& row = table.numbers[i];
        const std::string where = fmt::format("{}: rows[{}].precision", table.file, i);
        const Precision p = parse_precision(table.texts[i][precision], where);
        const bool accumulate = table.number(i, "accumulate", 0) != 0;
        if (!accumulate && table.text(i, "output", "bf16") != "bf16") continue;
        if (table.text(i, "clock", "burst") != "burst") continue;
        const auto known = from.try_emplace({p, accumulate}, table.from).first;
        if (known->second.origin != table.from.origin) continue;
        const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
        rows[{p, accumulate}].push_back(
            {{integer(m), integer(n), integer(k), p, accumulate}, row[sm], row[time] * 1e-6});
    }
}

void GemmTimes::add_rows(Family& target, const std::vector<Row>& rows) {
    target.all_sms = KernelTable(kScale);
    for (const Row& row : rows) {
        target.best_rate =
            std::max(target.best_rate, flops(Operator{"", row.gemm}).value() / row.time);
        if (row.sms < device_.all_sms) continue;
        const double model =
            tile_time(tile_problem(row.gemm), device_, constants_.at(row.gemm.precision));
        target.all_sms.add(position_of(row.gemm), row.time / model);
    }
    target.error = target.all_sms.typical_error();
    for (const Row& row : rows) {
        if (row.sms >= device_.all_sms) continue;
        TileDevice limited = device_;
        limited.sms = row.sms;
        const double model =
            tile_time(tile_problem(row.gemm), limited, constants_.at(row.gemm.precision));
        const auto at = position_of(row.gemm);
        const auto entry = target.limited.try_emplace(row.sms, KernelTable(kScale)).first;
        entry->second.add(at, row.time / (model * target.all_sms.read(at).value));
    }
    for (const auto& [sms, table] : target.limited) {
        target.limited_error += table.typical_error() / static_cast<double>(target.limited.size());
    }
}

// Of too few accumulating points, what the plain GEMM's rule needs; none without plain ones.
void GemmTimes::add_ratios(const std::vector<Row>& rows) {
    const Precision precision = rows.front().gemm.precision;
    Family& target = families_.at({precision, true});
    if (target.all_sms.size() >= kFew || family(precision, false) == nullptr) return;
    for (const Row& row : rows) {
        if (row.sms < device_.all_sms) continue;
        target.ratios.push_back(row.time / plain_and_results(row.gemm, row.sms));
    }
}

double GemmTimes::model(const Gemm& gemm, double sms) const {
    TileDevice device = device_;
    device.sms = sms;
    return tile_time(tile_problem(gemm), device, constants_.at(gemm.precision));
}

double GemmTimes::plain_and_results(const Gemm& gemm, double sms) const {
    Gemm plain = gemm;
    plain.accumulate = false;
    const double results = static_cast<double>(gemm.m) * static_cast<double>(gemm.n);
    const double bandwidth =
        device_.copy_bandwidth * constants_.at(gemm.precision).bandwidth_fraction;
    return model(plain, sms) * residual(plain, sms)->value + 6 * results / bandwidth;
}

const GemmTimes::Family* GemmTimes::family(Precision precision, bool accumulate) const {
    const auto it = families_.find({precision, accumulate});
    return it == families_.end() ? nullptr : &it->second;
}

const TileConstants* GemmTimes::constants(Precision precision) const {
    const auto it = constants_.find(precision);
    return it == constants_.end() ? nullptr : &it->second;
}

double GemmTimes::best_rate(Precision precision) const {
    const Family* known = family(precision, false);
    return known == nullptr ? 0 : known->best_rate;
}

// L of a family between the SM counts it was measured at; below the smallest, that one's.
GemmTimes::Limited GemmTimes::limited(const Family& known, const KernelTable::Position& at,
                                      double sms) const {
    double below_sms = 0, above_sms = device_.all_sms;
    KernelTable::Reading below{1, 0}, above{1, 0};
    for (const auto& [level, table] : known.limited) {
        if (level <= sms) below_sms = level, below = table.read(at);
        if (level >= sms) {
            above_sms = level, above = table.read(at);
            break;
        }
    }
    if (below_sms == 0) {
        const double octaves = std::log2(above_sms / sms);
        return {above, known.limited_error * (1 + octaves) + std::fabs(above.value - 1)};
    }
    if (above_sms == below_sms) return {below, 0};
    const double share = (sms - below_sms) / (above_sms - below_sms);
    const double step = above.value - below.value;
    return {{below.value + share * step, std::max(below.distance, above.distance)},
            known.limited_error + std::fabs(step) / 2};
}

// The family whose SM-limited rows serve: its own, else the same result type in another precision.
const GemmTimes::Family* GemmTimes::limited_source(const Family& own, bool accumulate) const {
    if (!own.limited.empty()) return &own;
    for (const bool result : {accumulate, false}) {
        for (const Precision p : {Precision::fp8_block, Precision::bf16, Precision::fp8_tensor}) {
            const Family* other = family(p, result);
            if (other != nullptr && !other->limited.empty()) return other;
        }
    }
    return nullptr;
}

// What fewer SMs do to a residual of `known`.
void GemmTimes::limit(Residual& result, const Family& known, const Gemm& gemm, double sms) const {
    const Family* source = limited_source(known, gemm.accumulate);
    if (source == nullptr) {  // the tile model alone
        result.extra += known.error * (1 + std::log2(device_.all_sms / sms));
        result.origin = weakest(result.origin, Origin::derived);
        return;
    }
    const Limited part = limited(*source, position_of(gemm), sms);
    result.value *= part.reading.value;
    result.distance = std::max(result.distance, part.reading.distance);
    result.error = std::max(result.error, source->limited_error);
    result.extra += part.spread;
    if (source != &known) result.extra += source->limited_error;
    if (result.extra > 0) result.origin = weakest(result.origin, Origin::derived);
}

GemmTimes::Residual GemmTimes::sparse_residual(const Family& known, const Gemm& gemm,
                                               double sms) const {
    Gemm plain = gemm;
    plain.accumulate = false;
    Residual result = *residual(plain, sms);
    result.value = median(known.ratios) * plain_and_results(gemm, sms) / model(gemm, sms);
    result.extra += summarise(left_out_of_median(known.ratios)).mean;
    result.origin = weakest(weakest(result.origin, known.from.origin), Origin::derived);
    result.sparse = true;
    return result;
}

std::optional<GemmTimes::Residual> GemmTimes::residual(const Gemm& gemm, double sms) const {
    const Family* known = family(gemm.precision, gemm.accumulate);
    if (known == nullptr) return std::nullopt;
    const KernelTable::Reading reading = known->all_sms.read(position_of(gemm));
    Residual result{reading.value, reading.distance, known->from.origin, known->error};
    if (sms < device_.all_sms) limit(result, *known, gemm, sms);
    if (!known->ratios.empty() && result.distance > 0) return sparse_residual(*known, gemm, sms);
    if (result.distance > kReach) result.origin = weakest(result.origin, Origin::derived);
    return result;
}

std::optional<Estimate> GemmTimes::time(const Gemm& gemm, double sms) const {
    if (constants(gemm.precision) == nullptr) return std::nullopt;
    Gemm priced = gemm;
    const bool scaled = gemm.accumulate && family(gemm.precision, true) == nullptr;
    if (scaled) priced.accumulate = false;
    const auto residual = this->residual(priced, sms);
    if (!residual) return std::nullopt;
    Estimate estimate;
    estimate.time = Seconds(model(gemm, sms) * residual->value);
    // Away from measured points fewer SMs are never faster.
    if (sms < device_.all_sms && !residual->exact()) {
        const double all =
            model(gemm, device_.all_sms) * this->residual(priced, device_.all_sms)->value;
        estimate.time = std::max(estimate.time, Seconds(all));
    }
    estimate.origin = scaled ? weakest(residual->origin, Origin::derived) : residual->origin;
    estimate.spread = residual->spread();
    const char* how = residual->exact()              ? "measured point"
                      : residual->distance <= kReach ? "interpolated"
                                                     : "extrapolated";
    estimate.rule =
        fmt::format("gemm table {}, {}{}", to_string(gemm.precision), how,
                    scaled             ? ", FP32 results added by the tile model"
                    : residual->sparse ? ", FP32 results added, scaled to those measured"
                                       : "");
    return estimate;
}

std::vector<GemmTimes::FamilyErrors> GemmTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const auto& [key, known] : families_) {
        FamilyErrors errors{key.first,
                            key.second,
                            known.from,
                            summarise(known.ratios.empty() ? known.all_sms.leave_one_out()
                                                           : left_out_of_median(known.ratios)),
                            {}};
        std::vector<double> limited;
        for (const auto& [sms, table] : known.limited) {
            const auto level = table.leave_one_out();
            limited.insert(limited.end(), level.begin(), level.end());
        }
        errors.limited_sms = summarise(limited);
        result.push_back(errors);
    }
    return result;
}

}  // namespace orrery
