#pragma once
// A table of measurements or published rows: named columns of numbers or of text, one provenance
// for all rows. In a profile it is {"origin", "source", "columns", "rows"}, written in place or in
// a file of its own that profiles refer to (format: hw_profiles/README.md).

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/sourced.hpp"

namespace orrery {

struct DataTable {
    std::string name;  // family: "gemm", "attention", ...
    std::string file;  // where it was read, for messages
    Provenance from;
    Origin first_origin = Origin::assumed;  // before a rule carried it to another device
    std::vector<std::string> columns;
    std::vector<std::vector<double>> numbers;     // [row][column]; NaN in text columns
    std::vector<std::vector<std::string>> texts;  // [row][column]; empty in numeric columns

    std::size_t rows() const { return numbers.size(); }
    // Index of the column with this name or the other; missing: InputError.
    std::size_t column(std::string_view column_name, std::string_view or_name = {}) const;
    std::optional<std::size_t> find_column(std::string_view column_name) const;
    bool has_column(std::string_view c) const { return find_column(c).has_value(); }
    // Text of an optional column, `otherwise` where the table has none.
    std::string text(std::size_t row, std::string_view column_name, std::string otherwise) const;
    double number(std::size_t row, std::string_view column_name, double otherwise) const;
};

// Reads a table object; names the family in `name`. Rows must be as wide as the columns, and a
// column all numbers (true and false count as 1 and 0) or all text. Throws InputError.
DataTable read_data_table(const ConfigNode& node, std::string name);

// Reads the "tables" object of a profile: family -> list of tables, each a table in place, the path
// of a file (relative to the profile; "file.json#name" takes one of the file's "tables"), or
// {"file", "origin", "source"}: a file whose figures are used under a weaker origin for the stated
// reason. Within a family the strongest origin comes
// first, then file order: measured > specified > published > derived > assumed.
std::vector<DataTable> read_tables(const ConfigNode& tables, const std::filesystem::path& base);

// Weakens `from` to at least `rule.origin` and puts the reason before the citation.
Provenance under_rule(const Provenance& from, const Provenance& rule);

// First (strongest) table of the family; nullptr where there is none.
const DataTable* find_in(const std::vector<DataTable>& tables, std::string_view name);

}  // namespace orrery
