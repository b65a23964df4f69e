#include "study/profile_diff.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "core/unit_text.hpp"
#include "hardware/accelerator_profile.hpp"

namespace orrery {
namespace {

using Columns = std::vector<std::string>;

// What makes two rows of a family the same shape.
const std::map<std::string, Columns>& shape_columns() {
    static const std::map<std::string, Columns> columns = {
        {"gemm", {"precision", "accumulate", "m", "n", "k", "sm"}},
        {"gemm_model", {"precision"}},
        {"grouped_gemm", {"layout", "precision", "groups", "rows_per_group", "n", "k", "sm"}},
        {"attention",
         {"pass", "causal", "sequences", "query_heads", "query_length", "query_key_dim",
          "value_dim"}},
        {"attention_sms", {"pass", "sm"}},
        {"attention_decode",
         {"sequences", "query_length", "key_length", "query_heads", "key_heads", "query_key_dim",
          "value_dim"}},
        {"memory", {"kind", "rows", "columns"}},
        {"sustained", {"load", "class", "operator", "precision", "m", "n", "k", "sm"}},
        {"contention", {"class", "communication_sms", "communication_GBps"}}};
    return columns;
}

struct Value {
    std::string what;
    double value = 0;
};

// The figure of a row; rates as their inverse, so that every ratio is one of times.
std::optional<Value> value_of(const DataTable& table, std::size_t row) {
    const auto number = [&](const char* column) { return table.number(row, column, 0); };
    if (table.has_column("time_us")) return Value{"time", number("time_us")};
    for (const char* rate : {"TFLOPS", "compute_TFLOPS"}) {
        if (table.has_column(rate) && number(rate) > 0) return Value{"time", 1 / number(rate)};
    }
    if (table.has_column("slowdown")) return Value{"slowdown", number("slowdown")};
    return std::nullopt;
}

// "bf16 0 4096 7168 2048 132"; the whole device's SMs are "all", so that devices of other sizes
// compare. Rates and times of one shape are of different units and do not match.
std::string key_of(const DataTable& table, std::size_t row, const Columns& columns, double sms) {
    std::string key;
    for (const std::string& column : columns) {
        std::string cell = table.text(row, column, "");
        if (cell.empty()) {
            const double otherwise = column == "sm" ? sms : 0;
            const double number = table.number(row, column, otherwise);
            cell = column == "sm" && number >= sms ? "all SMs" : fmt::format("{:g}", number);
        }
        key += (key.empty() ? "" : " ") + cell;
    }
    return table.has_column("time_us") || table.has_column("slowdown") ? key : key + " (rate)";
}

using Rows = std::map<std::string, Value>;

Rows rows_of(const AcceleratorProfile& profile, const std::string& family, const Columns& columns) {
    Rows rows;
    for (const DataTable* table : profile.find_tables(family)) {
        for (std::size_t i = 0; i < table->rows(); ++i) {
            if (table->text(i, "cache", "rotating") != "rotating") continue;
            if (const auto value = value_of(*table, i)) {
                rows.try_emplace(key_of(*table, i, columns, profile.sms.value.value()), *value);
            }
        }
    }
    return rows;
}

std::optional<FamilyDiff> family_diff(const std::string& family, const Rows& a, const Rows& b) {
    if (a.empty() && b.empty()) return std::nullopt;
    FamilyDiff diff;
    diff.family = family;
    std::vector<double> ratios;
    double farthest = -1;
    for (const auto& [key, value] : a) {
        const auto other = b.find(key);
        if (other == b.end()) {
            ++diff.only_a;
            continue;
        }
        const double ratio = other->second.value / value.value;
        diff.value = value.what;
        ratios.push_back(ratio);
        if (std::fabs(std::log(ratio)) > farthest) {
            farthest = std::fabs(std::log(ratio));
            diff.farthest = key;
        }
    }
    diff.matched = ratios.size();
    diff.only_b = b.size() - diff.matched;
    if (ratios.empty()) return diff;
    std::sort(ratios.begin(), ratios.end());
    const std::size_t half = ratios.size() / 2;
    diff.median = ratios.size() % 2 == 1 ? ratios[half] : (ratios[half - 1] + ratios[half]) / 2;
    diff.least = ratios.front();
    diff.most = ratios.back();
    return diff;
}

template <class Q>
void add_number(ProfileDiff& diff, const char* name, const Sourced<Q>& a, const Sourced<Q>& b) {
    diff.numbers.push_back({name,
                            {name, to_text(a.value), a.from},
                            {name, to_text(b.value), b.from},
                            b.value.value() / a.value.value()});
}

void add_efficiency(ProfileDiff& diff, const AcceleratorProfile& a, const AcceleratorProfile& b) {
    const char* name = "compute_efficiency";
    if (!a.compute_efficiency && !b.compute_efficiency) return;
    NumberDiff number{name, {name, "", {}}, {name, "", {}}, 0};
    if (a.compute_efficiency) {
        number.a = {name, to_text(a.compute_efficiency->value), a.compute_efficiency->from};
    }
    if (b.compute_efficiency) {
        number.b = {name, to_text(b.compute_efficiency->value), b.compute_efficiency->from};
    }
    if (a.compute_efficiency && b.compute_efficiency) {
        number.ratio = b.compute_efficiency->value / a.compute_efficiency->value;
    }
    diff.numbers.push_back(number);
}

}  // namespace

ProfileDiff diff_profiles(const std::string& name_a, const std::string& name_b,
                          const std::filesystem::path& profiles) {
    const AcceleratorProfile a = load_accelerator(name_a, profiles);
    const AcceleratorProfile b = load_accelerator(name_b, profiles);
    ProfileDiff diff{a.name, b.name, {}, {}};
    add_number(diff, "sms", a.sms, b.sms);
    add_number(diff, "memory", a.memory, b.memory);
    add_number(diff, "memory_bandwidth", a.memory_bandwidth, b.memory_bandwidth);
    add_number(diff, "copy_bandwidth", a.copy_bandwidth, b.copy_bandwidth);
    add_number(diff, "peak_bf16", a.peak_bf16, b.peak_bf16);
    add_number(diff, "peak_fp8", a.peak_fp8, b.peak_fp8);
    add_number(diff, "launch_gap", a.launch_gap, b.launch_gap);
    add_number(diff, "kernel_floor", a.kernel_floor, b.kernel_floor);
    add_number(diff, "saturating_sms", a.saturating_sms, b.saturating_sms);
    add_efficiency(diff, a, b);
    for (const auto& [family, columns] : shape_columns()) {
        if (const auto one =
                family_diff(family, rows_of(a, family, columns), rows_of(b, family, columns))) {
            diff.families.push_back(*one);
        }
    }
    return diff;
}

}  // namespace orrery
