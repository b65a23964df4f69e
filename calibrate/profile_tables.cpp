// GEMMs, grouped GEMMs and memory-bound kernels: rows as measured, fewer columns.
#include "calibrate/profile_tables.hpp"

#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>

namespace orrery::calibrate {
namespace {

using Keep = std::function<bool(const TableView&, std::size_t)>;

// The named columns of the rows of `from` that `keep` wants, behind those of `onto`.
void add_rows(Table& onto, const Table& from, const Keep& keep) {
    const TableView view(from);
    for (std::size_t i = 0; i < view.rows(); ++i) {
        if (!keep(view, i)) continue;
        Row row;
        for (const std::string& column : onto.columns) {
            if (view.has(column))
                row.push_back(view.cell(i, column));
            else
                row.emplace_back(0.0);
        }
        onto.rows.push_back(std::move(row));
    }
}

bool burst(const TableView& view, std::size_t i) {
    return !view.has("clock") || view.text(i, "clock") == "burst";
}

// One table of `family` from those of `names` that the results have.
void add_table(const Results& results, const std::string& family,
               const std::vector<std::string>& names, const std::vector<std::string>& columns,
               const std::string& note, const Keep& keep, std::vector<ProfileTable>& tables) {
    Table table{family, columns, 0, {}};
    std::vector<const MeasuredTable*> sources;
    for (const std::string& name : names) {
        const MeasuredTable* from = results.find(name);
        const std::size_t before = table.rows.size();
        if (from != nullptr) add_rows(table, from->table, keep);
        if (table.rows.size() > before) sources.push_back(from);
    }
    if (!sources.empty()) tables.push_back({family, table, measured_in(sources, note)});
}

// SM counts of the rows, but those less than kApart below another: times are interpolated between
// levels, and over so short a step a kernel's choice of tiles would be read as a slope.
std::set<double> sm_levels(const Results& results, const std::vector<std::string>& names) {
    constexpr double kApart = 4;
    std::set<double> all, apart;
    for (const std::string& name : names)
        if (const MeasuredTable* from = results.find(name)) {
            const TableView v(from->table);
            for (std::size_t i = 0; i < v.rows(); ++i) all.insert(v.number(i, "sm"));
        }
    for (const double sms : all) {
        const auto above = all.upper_bound(sms);
        if (above == all.end() || *above - sms >= kApart) apart.insert(sms);
    }
    return apart;
}

}  // namespace

Provenance measured_in(const std::vector<const MeasuredTable*>& tables, const std::string& note) {
    std::string text;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        if (i > 0) text += "; ";
        text += fmt::format("{}, table {}", tables[i]->file, tables[i]->table.name);
        const auto same = [&](std::size_t k) {
            return k < tables.size() && tables[k]->file == tables[i]->file &&
                   tables[k]->source == tables[i]->source;
        };
        std::size_t last = i;
        for (; same(last + 1); ++last) text += fmt::format(", {}", tables[last + 1]->table.name);
        text += fmt::format(": {}", tables[i]->source);
        i = last;
    }
    return {Origin::measured, fmt::format("{}; CUPTI kernel times, median; {}", text, note)};
}

Provenance measured_in(const MeasuredTable& table, const std::string& note) {
    return measured_in(std::vector<const MeasuredTable*>{&table}, note);
}

double rounded(double value) { return value == 0 ? 0 : std::stod(fmt::format("{:.5g}", value)); }

void add_gemm_tables(const Results& results, std::vector<ProfileTable>& tables) {
    const std::vector<std::string> names = {"gemm", "gemm_grid", "gemm_scatter", "gemm_fewer_sms",
                                            "gemm_held_out"};
    const std::set<double> levels = sm_levels(results, names);
    add_table(
        results, "gemm", names,
        {"precision", "accumulate", "m", "n", "k", "sm", "time_us", "n_samples", "spread",
         "clock_MHz"},
        "burst, operands rotating through device memory; BF16 results, or FP32 accumulated",
        [&](const TableView& v, std::size_t i) {
            return burst(v, i) && levels.contains(v.number(i, "sm")) &&
                   (v.number(i, "accumulate") != 0 || v.text(i, "output") == "bf16");
        },
        tables);
    add_table(
        results, "grouped_gemm", {"grouped_gemm", "grouped_scatter"},
        {"layout", "precision", "groups", "rows_per_group", "n", "k", "sm", "time_us", "n_samples",
         "spread", "clock_MHz"},
        "burst, this project's kernel (kernels/grouped_gemm.cu); weight gradients accumulated",
        burst, tables);
}

void add_memory_tables(const Results& results, std::vector<ProfileTable>& tables) {
    add_table(
        results, "memory", {"memory", "memory_sizes", "memory_scatter"},
        {"kind", "rows", "columns", "bytes", "time_us", "n_samples", "spread", "clock_MHz"},
        "burst, this project's kernels, operands rotating through device memory",
        [](const TableView& v, std::size_t i) {
            return burst(v, i) && (!v.has("cache") || v.text(i, "cache") == "rotating");
        },
        tables);
}

void add_decode_tables(const Results& results, std::vector<ProfileTable>& tables) {
    add_table(results, "attention_decode",
              {"attention_decode", "attention_decode_scatter", "attention_decode_shapes"},
              {"sequences", "query_length", "key_length", "query_heads", "key_heads",
               "query_key_dim", "value_dim", "time_us", "n_samples", "spread", "clock_MHz"},
              "burst, this project's kernels (kernels/attention_decode.hpp), paged caches rotating "
              "through device memory",
              burst, tables);
}

std::vector<ProfileTable> profile_tables(const Results& results) {
    std::vector<ProfileTable> tables;
    add_gemm_tables(results, tables);
    add_attention_tables(results, tables);
    add_decode_tables(results, tables);
    add_memory_tables(results, tables);
    add_load_tables(results, tables);
    add_pace_tables(results, tables);
    return tables;
}

}  // namespace orrery::calibrate
