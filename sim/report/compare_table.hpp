#pragma once
// Cases side by side, in the terminal and as JSON.

#include <string>
#include <utility>
#include <vector>

#include "report/terminal.hpp"

namespace orrery {

struct CompareColumn {
    std::vector<std::pair<std::string, std::string>> settings;  // key, value as given
    const RunResult* result = nullptr;
    std::string impossible;  // why there is no result
};

// A column a case, a row a metric; further down the same for the next cases where they do not fit
// in the width. The change against the first case that has a result stands beside each value.
std::string render_comparison(const std::string& scenario,
                              const std::vector<CompareColumn>& columns,
                              const TerminalStyle& style);

// {"scenario", "cases": [{"settings", "result" | "impossible"}]}.
std::string comparison_json(const std::string& scenario, const std::vector<CompareColumn>& columns);
// One line a case: settings, then every metric in base units.
std::string comparison_csv(const std::vector<CompareColumn>& columns);

}  // namespace orrery
