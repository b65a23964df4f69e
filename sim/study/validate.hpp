#pragma once
// Predictions beside what others published. A case is a scenario under scenarios/validation; its
// name is its path below that directory without ".json".

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"

namespace orrery {

struct ValidationCase {
    std::string name;  // "deepseek_v3/insights_table_4_mpft"
    std::filesystem::path file;
};

// Cases whose name contains `filter`, sorted by name. Throws InputError where there are none.
std::vector<ValidationCase> find_validation_cases(const std::filesystem::path& directory,
                                                  const std::string& filter);

// Largest allowed |error| (1 = 100 %) by case name and metric; empty where there is no bound.
using ValidationBounds = std::map<std::string, std::map<std::string, double>>;
ValidationBounds read_bounds(const ConfigNode& root);
ValidationBounds load_bounds(const std::filesystem::path& file);
std::optional<double> bound_of(const ValidationBounds& bounds, const std::string& case_name,
                               const std::string& metric);

}  // namespace orrery
