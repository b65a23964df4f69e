#pragma once
// What calibrations measured, as files hold it: tables, each with where and when it was taken.
// Files of several runs are put together here; a later row replaces an earlier one of the same key.

#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/table.hpp"

namespace orrery::calibrate {

struct MeasuredTable {
    Table table;
    std::string source;  // device, driver, date, ...: provenance_of() of the run or runs
    std::string file;    // that holds it
};

struct Results {
    Heading heading;                 // of the last run; empty where nothing was read
    std::vector<std::string> files;  // that hold the tables, in the order they were read
    std::vector<MeasuredTable> tables;

    const MeasuredTable* find(const std::string& name) const;
    // "device", "date", ...; empty where the heading has none.
    std::string heading_of(const std::string& key) const;
};

// "cuBLASLt 130100 on NVIDIA H100 80GB HBM3 (132 SMs, 700 W), driver 580.159.04, CUDA 13.0,
// 2026-11-22, commit 23a9481".
std::string provenance_of(const Heading& heading);

// Reads a results file: texts, then "tables". Throws InputError.
Results read_results(const std::filesystem::path& file);
// Adds a run's tables. Rows with the key of an earlier row replace it; a table of other columns
// replaces the earlier one whole. Two devices do not mix: InputError naming both.
void merge(Results& into, const Results& from);
// The tables of a run that `file` is going to hold.
Results results_of(const Heading& heading, const std::vector<Table>& tables,
                   const std::string& file);

// The whole file; every table says `origin: measured`.
std::string results_json(const Results& results);

// The cells of a table by the name of their column.
class TableView {
  public:
    explicit TableView(const Table& table) : table_(table) {}
    std::size_t rows() const { return table_.rows.size(); }
    bool has(const std::string& column) const;
    // A missing column gives `otherwise`.
    double number(std::size_t row, const std::string& column, double otherwise = 0) const;
    std::string text(std::size_t row, const std::string& column) const;
    // The cell itself. A missing column is an InputError.
    const Cell& cell(std::size_t row, const std::string& column) const;

  private:
    const Table& table_;
};

}  // namespace orrery::calibrate
