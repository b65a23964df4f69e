#include "calibrate/results.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

std::optional<std::size_t> index_of(const Table& table, const std::string& column) {
    const auto at = std::find(table.columns.begin(), table.columns.end(), column);
    if (at == table.columns.end()) return std::nullopt;
    return std::size_t(at - table.columns.begin());
}

Cell cell_from(const ConfigNode& node) {
    if (node.is_string()) return node.as_string();
    if (node.is_bool()) return node.as_bool() ? 1.0 : 0.0;
    return node.is_null() ? std::nan("") : node.as_number();
}

// Files written before tables said how many columns are keys: every column left of a result.
std::size_t keys_of(const std::vector<std::string>& columns) {
    const auto result = std::find_if(columns.begin(), columns.end(), [](const std::string& c) {
        return c.ends_with("_us") || c == "bytes" || c == "ctas" || c == "slowdown" ||
               c == "kernels" || c == "sm_numbers" || c == "kernel";
    });
    return std::size_t(result - columns.begin());
}

MeasuredTable table_from(const ConfigNode& node, const std::string& name, const Heading& heading) {
    MeasuredTable result{{name, {}, 0, {}}, node.provenance().source, node.file()};
    Table& table = result.table;
    for (const ConfigNode& c : node.at("columns").elements())
        table.columns.push_back(c.as_string());
    table.keys = keys_of(table.columns);
    if (const auto keys = node.find("keys"))
        table.keys = std::size_t(keys->as_integer(0, std::int64_t(table.columns.size())));
    for (const ConfigNode& row : node.at("rows").elements()) {
        table.rows.emplace_back();
        for (const ConfigNode& c : row.elements()) table.rows.back().push_back(cell_from(c));
        if (table.rows.back().size() != table.columns.size())
            row.fail(fmt::format("must have {} cells, one a column", table.columns.size()));
    }
    if (result.source.ends_with(".json")) result.source = provenance_of(heading);
    return result;
}

// The device without its limits: "NVIDIA H100 80GB HBM3 (132 SMs".
std::string chip(const std::string& device) {
    return device.substr(0, device.find_first_of(",)", device.find('(')));
}

void merge_table(Results& into, MeasuredTable from) {
    const auto same = std::find_if(into.tables.begin(), into.tables.end(),
                                   [&](const auto& t) { return t.table.name == from.table.name; });
    if (same == into.tables.end()) {
        into.tables.push_back(std::move(from));
        return;
    }
    if (same->table.columns != from.table.columns) {
        *same = std::move(from);
        return;
    }
    if (same->file != from.file) same->file += " and " + from.file;
    Table& table = same->table;
    std::unordered_map<std::string, std::size_t> known;
    for (std::size_t i = 0; i < table.rows.size(); ++i)
        known.emplace(key_of(table.rows[i], table.keys), i);
    std::size_t replaced = 0;
    for (const Row& row : from.table.rows) {
        const auto at = known.find(key_of(row, table.keys));
        if (at == known.end()) {
            table.rows.push_back(row);
        } else {
            table.rows[at->second] = row;
            ++replaced;
        }
    }
    if (replaced == known.size())
        same->source = from.source;
    else if (same->source.find(from.source) == std::string::npos)
        same->source += fmt::format("; {} rows: {}", from.table.rows.size(), from.source);
}

}  // namespace

const MeasuredTable* Results::find(const std::string& name) const {
    for (const MeasuredTable& t : tables)
        if (t.table.name == name) return &t;
    return nullptr;
}

std::string Results::heading_of(const std::string& key) const {
    for (const auto& [name, value] : heading)
        if (name == key) return value;
    return "";
}

std::string provenance_of(const Heading& heading) {
    const Results of{heading, {}, {}};
    const auto value = [&](const char* key) { return of.heading_of(key); };
    return fmt::format("{} on {}, driver {}, CUDA {}, {}, commit {}", value("library"),
                       value("device"), value("driver"), value("cuda"), value("date"),
                       value("commit"));
}

Results read_results(const std::filesystem::path& file) {
    const ConfigNode root = ConfigNode::load(file);
    Results results;
    results.files.push_back(file.string());
    for (const std::string& key : root.keys())
        if (key != "tables") results.heading.emplace_back(key, root.at(key).as_string());
    const ConfigNode tables = root.at("tables");
    for (const std::string& name : tables.keys())
        results.tables.push_back(table_from(tables.at(name), name, results.heading));
    return results;
}

void merge(Results& into, const Results& from) {
    const std::string was = into.heading_of("device"), is = from.heading_of("device");
    if (!was.empty() && chip(was) != chip(is))
        throw InputError(fmt::format("measurements of {} and of {} are not put together", was, is));
    into.heading = from.heading;
    for (const std::string& file : from.files)
        if (std::find(into.files.begin(), into.files.end(), file) == into.files.end())
            into.files.push_back(file);
    for (const MeasuredTable& t : from.tables) merge_table(into, t);
}

Results results_of(const Heading& heading, const std::vector<Table>& tables,
                   const std::string& file) {
    Results run{heading, {file}, {}};
    for (const Table& t : tables) run.tables.push_back({t, provenance_of(heading), file});
    return run;
}

std::string results_json(const Results& results) {
    std::string out = "{\n";
    for (const auto& [key, value] : results.heading)
        out += fmt::format("  {}: {},\n", json_text(key), json_text(value));
    out += "  \"tables\": {";
    bool first = true;
    for (const auto& [table, source, file] : results.tables) {
        out +=
            fmt::format("{}\n    {}: {{\n      \"origin\": \"measured\",\n      \"source\": {},\n",
                        first ? "" : ",", json_text(table.name), json_text(source));
        first = false;
        out += fmt::format("      \"keys\": {},\n", table.keys);
        const Row columns(table.columns.begin(), table.columns.end());
        out += "      \"columns\": " + json_row(columns) + ",\n      \"rows\": [";
        for (std::size_t i = 0; i < table.rows.size(); ++i)
            out += (i == 0 ? "\n        " : ",\n        ") + json_row(table.rows[i]);
        out += "\n      ]\n    }";
    }
    return out + "\n  }\n}\n";
}

bool TableView::has(const std::string& column) const {
    return index_of(table_, column).has_value();
}

double TableView::number(std::size_t row, const std::string& column, double otherwise) const {
    const auto at = index_of(table_, column);
    if (!at) return otherwise;
    const auto* value = std::get_if<double>(&table_.rows[row][*at]);
    return value ? *value : otherwise;
}

std::string TableView::text(std::size_t row, const std::string& column) const {
    const auto at = index_of(table_, column);
    return at ? cell_text(table_.rows[row][*at]) : "";
}

const Cell& TableView::cell(std::size_t row, const std::string& column) const {
    const auto at = index_of(table_, column);
    if (!at) throw InputError(fmt::format("table {}: no column {}", table_.name, column));
    return table_.rows[row][*at];
}

}  // namespace orrery::calibrate
