#include "hardware/data_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace fs = std::filesystem;

std::size_t DataTable::column(std::string_view column_name, std::string_view or_name) const {
    if (const auto index = find_column(column_name)) return *index;
    if (const auto index = find_column(or_name)) return *index;
    throw InputError(
        fmt::format("{}: table {} has no column {}, must have one", file, name, column_name));
}

std::optional<std::size_t> DataTable::find_column(std::string_view column_name) const {
    const auto it = std::find(columns.begin(), columns.end(), column_name);
    if (it == columns.end()) return std::nullopt;
    return static_cast<std::size_t>(it - columns.begin());
}

std::string DataTable::text(std::size_t row, std::string_view column_name,
                            std::string otherwise) const {
    const auto index = find_column(column_name);
    return index ? texts[row][*index] : std::move(otherwise);
}

double DataTable::number(std::size_t row, std::string_view column_name, double otherwise) const {
    const auto index = find_column(column_name);
    return index ? numbers[row][*index] : otherwise;
}

namespace {

void read_row(const ConfigNode& row, DataTable& table) {
    const std::vector<ConfigNode> cells = row.elements();
    if (cells.size() != table.columns.size()) {
        row.fail(fmt::format("must have {} cells, one a column", table.columns.size()));
    }
    std::vector<double> numbers(cells.size(), std::numeric_limits<double>::quiet_NaN());
    std::vector<std::string> texts(cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const ConfigNode& cell = cells[i];
        if (cell.is_string()) {
            texts[i] = cell.as_string();
        } else if (cell.is_bool()) {
            numbers[i] = cell.as_bool() ? 1 : 0;
        } else {
            numbers[i] = cell.as_number();
        }
        const bool text = cell.is_string();
        if (!table.numbers.empty() && text != std::isnan(table.numbers.front()[i])) {
            cell.fail(fmt::format("must be {}, as in the first row of column {}",
                                  text ? "a number" : "text", table.columns[i]));
        }
    }
    table.numbers.push_back(std::move(numbers));
    table.texts.push_back(std::move(texts));
}

using Files = std::map<fs::path, ConfigNode>;  // read once each

// "file.json", or "file.json#name" for one table of a results file of several.
DataTable read_table_file(const fs::path& base, const std::string& reference,
                          const std::string& family, Files& files) {
    const auto mark = reference.find('#');
    const fs::path path = base / reference.substr(0, mark);
    auto known = files.find(path);
    if (known == files.end()) known = files.emplace(path, ConfigNode::load(path)).first;
    const ConfigNode& node = known->second;
    if (mark != std::string::npos) {
        const ConfigNode one = node.at("tables").at(reference.substr(mark + 1));
        DataTable table = read_data_table(one, family);
        one.reject_unknown_keys();
        return table;
    }
    DataTable table = read_data_table(node, family);
    node.reject_unknown_keys();
    return table;
}

DataTable read_entry(const ConfigNode& entry, const std::string& name, const fs::path& base,
                     Files& files) {
    if (entry.is_string()) return read_table_file(base, entry.as_string(), name, files);
    if (entry.has("columns")) return read_data_table(entry, name);
    DataTable table = read_table_file(base, entry.at("file").as_string(), name, files);
    table.from = under_rule(table.from, entry.provenance());
    return table;
}

}  // namespace

DataTable read_data_table(const ConfigNode& node, std::string name) {
    DataTable table;
    table.name = std::move(name);
    table.file = node.file();
    table.from = node.provenance();
    table.first_origin = table.from.origin;
    for (const ConfigNode& column : node.at("columns").elements()) {
        table.columns.push_back(column.as_string());
    }
    if (table.columns.empty()) node.at("columns").fail("must name at least one column");
    for (const ConfigNode& row : node.at("rows").elements()) read_row(row, table);
    if (table.numbers.empty()) node.at("rows").fail("must have at least one row");
    if (node.has("about")) node.at("about").as_string();
    if (node.has("keys")) node.at("keys").as_integer(0);  // of files that orrery-calibrate wrote
    return table;
}

Provenance under_rule(const Provenance& from, const Provenance& rule) {
    return {weakest(from.origin, rule.origin), fmt::format("{}: {}", rule.source, from.source)};
}

std::vector<DataTable> read_tables(const ConfigNode& tables, const fs::path& base) {
    std::vector<DataTable> result;
    Files files;
    for (const std::string& name : tables.keys()) {
        const std::size_t first = result.size();
        for (const ConfigNode& entry : tables.at(name).elements()) {
            result.push_back(read_entry(entry, name, base, files));
        }
        std::stable_sort(
            result.begin() + static_cast<std::ptrdiff_t>(first), result.end(),
            [](const DataTable& a, const DataTable& b) { return a.from.origin < b.from.origin; });
    }
    return result;
}

const DataTable* find_in(const std::vector<DataTable>& tables, std::string_view name) {
    const auto it = std::find_if(tables.begin(), tables.end(),
                                 [&](const DataTable& table) { return table.name == name; });
    return it == tables.end() ? nullptr : &*it;
}

}  // namespace orrery
