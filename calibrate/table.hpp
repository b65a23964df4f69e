#pragma once
// Tables of measurements and the file they are written to.
//
// A profile's table is {"origin", "source", "columns", "rows"}: columns carry their unit in their
// name ("time_us"), rows hold numbers and texts. The first `keys` columns say what was measured
// (operator, shape, conditions); the others are results.

#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace orrery::calibrate {

using Cell = std::variant<double, std::string>;
using Row = std::vector<Cell>;

struct Table {
    std::string name;
    std::vector<std::string> columns;
    std::size_t keys = 0;  // leading columns that identify a row
    std::vector<Row> rows;
};

// "fp8_block|4096|7168|2048": the key columns of a row as one text.
std::string key_of(const Row& row, std::size_t keys);
// Numbers as the shortest text that reads back to six significant digits.
std::string cell_text(const Cell& cell);
// A JSON string with quotes; escapes what JSON asks for.
std::string json_text(const std::string& text);
std::string json_row(const Row& row);

// What stands above the tables of a results file: "device", "driver", "date", ...
using Heading = std::vector<std::pair<std::string, std::string>>;

// Writes through a temporary file and a rename: never half a file. Throws InputError.
void write_file(const std::filesystem::path& file, const std::string& text);

}  // namespace orrery::calibrate
