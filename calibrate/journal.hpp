#pragma once
// Resume: every finished row is appended to FILE.journal at once, one line of JSON; an interrupted
// calibration started again reads it and skips what is there.

#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "calibrate/table.hpp"

namespace orrery::calibrate {

class Journal {
  public:
    // Reads FILE.journal where it exists. Rows of a device other than `device` are an InputError;
    // a last line cut short by the interruption is dropped.
    Journal(std::filesystem::path results_file, std::string device);

    bool has(const std::string& table, const Row& key) const;
    // Appends to the table and to the file. `table` gives name, columns and key count.
    void add(const Table& table, const Row& row);
    const std::vector<Table>& tables() const { return tables_; }
    std::size_t rows_read() const { return rows_read_; }
    // The results are complete: removes the journal.
    void finish();

  private:
    Table& table_like(const Table& table);
    void read(const std::string& device);

    std::filesystem::path file_;
    std::vector<Table> tables_;
    std::unordered_set<std::string> done_;  // "table|key"
    std::size_t rows_read_ = 0;
};

}  // namespace orrery::calibrate
