#pragma once
// Tables as CSV (RFC 4180): numbers in base units, as many digits as read back to the same value.

#include <string>
#include <string_view>

#include "core/run_result.hpp"

namespace orrery {

// `text`, in quotes where it holds a comma, a quote or a line break.
std::string csv_field(std::string_view text);
// A line of column names, "ttft_p99 [s]" where they have a unit, then one line a row.
std::string table_csv(const ResultTable& table);

}  // namespace orrery
