#pragma once
// Published, predicted, error, case by case.

#include <optional>
#include <string>
#include <vector>

#include "report/terminal.hpp"

namespace orrery {

struct ValidationReportCase {
    std::string name;
    RunResult result = {};    // its published figures are compared with its metrics
    std::string failed = {};  // why there is no result
    // Bound on |error| of each of result.published, 1 = 100 %; none where there is no bound.
    std::vector<std::optional<double>> bounds = {};
};

std::string render_validation(const std::vector<ValidationReportCase>& cases,
                              const TerminalStyle& style);
// {"cases": [{"name", "figures": [{"metric", "unit", "published", "predicted", "error", ...}]}],
//  "median_error", "largest_error"}.
std::string validation_json(const std::vector<ValidationReportCase>& cases);

// True where no case failed and every error is within its bound.
bool validation_passes(const std::vector<ValidationReportCase>& cases);

}  // namespace orrery
