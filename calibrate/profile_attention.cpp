// Attention: cuDNN's calls less its kernels for dO.O and for dQ to BF16, which are operators.
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "calibrate/profile_tables.hpp"

namespace orrery::calibrate {
namespace {

const std::vector<std::string> kShape = {"library",     "pass",      "sequences",  "query_length",
                                         "query_heads", "key_heads", "key_length", "query_key_dim",
                                         "value_dim",   "note"};

// What the rows of a call and of its kernels have in common.
std::string call_key(const TableView& view, std::size_t i, const TableView& other) {
    std::string key;
    for (const std::string& column : kShape)
        if (view.has(column) && other.has(column)) key += view.text(i, column) + "|";
    return key;
}

// cuDNN's kernels or this project's; not other libraries', nor padded shapes.
bool is_price(const TableView& view, std::size_t i) {
    const std::string library = view.text(i, view.has("library") ? "library" : "operator");
    return (library.starts_with("cuDNN") || library == "Orrery") && view.text(i, "note").empty();
}

struct Kernel {
    std::string name;
    double time_us;
};

// Kernels of the calls, in the order of the calls.
using Kernels = std::map<std::string, std::vector<Kernel>>;
Kernels kernels_of(const MeasuredTable* table, const TableView& calls) {
    Kernels kernels;
    if (table == nullptr) return kernels;
    const TableView view(table->table);
    for (std::size_t i = 0; i < view.rows(); ++i)
        kernels[call_key(view, i, calls)].push_back(
            {view.text(i, "kernel"), view.number(i, "time_us")});
    return kernels;
}

double sum_of(const std::vector<Kernel>& kernels, std::size_t first, std::size_t count,
              const char* part) {
    double sum = 0;
    for (std::size_t i = first; i < kernels.size() && i < first + count; ++i)
        if (kernels[i].name.find(part) != std::string::npos) sum += kernels[i].time_us;
    return sum;
}

// Rows of family memory for the helper kernels of a backward call.
void add_helpers(Table& helpers, const TableView& v, std::size_t i, double before, double after) {
    const double rows =
        v.number(i, "sequences") * v.number(i, "query_length") * v.number(i, "query_heads");
    const double key_dim = v.number(i, "query_key_dim"), value_dim = v.number(i, "value_dim");
    const double q = rows * key_dim, o = rows * value_dim;
    helpers.rows.push_back({std::string("attention_preprocess"), rows, value_dim,
                            4 * o + 12 * rows + 4 * q, rounded(before), v.cell(i, "n_samples"),
                            v.cell(i, "spread"), v.cell(i, "clock_MHz")});
    helpers.rows.push_back({std::string("attention_postprocess"), rows, key_dim, 6 * q,
                            rounded(after), v.cell(i, "n_samples"), v.cell(i, "spread"),
                            v.cell(i, "clock_MHz")});
}

}  // namespace

void add_attention_tables(const Results& results, std::vector<ProfileTable>& tables) {
    const MeasuredTable* measured = results.find("attention");
    if (measured == nullptr) return;
    const TableView v(measured->table);
    const MeasuredTable* kernel_table = results.find("attention_kernels");
    const TableView kernel_view(kernel_table ? kernel_table->table : measured->table);
    const Kernels kernels = kernels_of(kernel_table, v);
    const std::vector<std::string> shape = {"pass",        "causal",        "sequences",
                                            "query_heads", "key_heads",     "query_length",
                                            "key_length",  "query_key_dim", "value_dim"};
    Table calls{"attention", shape, shape.size(), {}}, helpers{"memory", {}, 0, {}};
    calls.columns.insert(calls.columns.end(), {"time_us", "n_samples", "spread", "clock_MHz"});
    helpers.columns = {"kind",    "rows",      "columns", "bytes",
                       "time_us", "n_samples", "spread",  "clock_MHz"};
    std::map<std::string, std::size_t> used;
    std::set<std::pair<double, double>> seen;
    for (std::size_t i = 0; i < v.rows(); ++i) {
        const std::string key = call_key(v, i, kernel_view);
        const auto count = std::size_t(v.number(i, "kernels_per_call"));
        const std::size_t first = used[key];
        used[key] += count;
        if (!is_price(v, i)) continue;
        const auto known = kernels.find(key);
        double before = 0, after = 0;
        if (known != kernels.end()) {
            before = sum_of(known->second, first, count, "dot_do_o");
            after = sum_of(known->second, first, count, "convert_dq");
        }
        const double rows =
            v.number(i, "sequences") * v.number(i, "query_length") * v.number(i, "query_heads");
        if (before > 0 && seen.insert({rows, v.number(i, "query_key_dim")}).second)
            add_helpers(helpers, v, i, before, after);
        Row row;
        for (const std::string& column : shape) row.push_back(v.cell(i, column));
        row.emplace_back(std::round(100 * (v.number(i, "time_us") - before - after)) / 100);
        for (const char* column : {"n_samples", "spread", "clock_MHz"})
            row.push_back(v.cell(i, column));
        calls.rows.push_back(std::move(row));
    }
    if (!calls.rows.empty())
        tables.push_back(
            {"attention", calls,
             measured_in(*measured,
                         "burst; backward without cuDNN's kernels for dO.O and for dQ to BF16 "
                         "(family memory)")});
    if (!helpers.rows.empty())
        tables.push_back({"memory", helpers,
                          measured_in(*kernel_table,
                                      "cuDNN's kernels around the attention backward; n_samples, "
                                      "spread and clock are the whole call's")});
}

}  // namespace orrery::calibrate
