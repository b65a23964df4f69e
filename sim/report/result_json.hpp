#pragma once
// result.json: the whole answer for scripts. Keys are documented in reports/README.md.

#include <filesystem>
#include <string>

#include "core/run_result.hpp"
#include "report/json_writer.hpp"

namespace orrery {

std::string result_json(const RunResult& result);
// The same as one value of a larger document.
void write_result(JsonWriter& json, const RunResult& result);
// "columns" and "rows" of a table, as members of the object that is open.
void write_table(JsonWriter& json, const ResultTable& table);

}  // namespace orrery
