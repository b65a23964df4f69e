#include "study/validate.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace fs = std::filesystem;

std::vector<ValidationCase> find_validation_cases(const fs::path& directory,
                                                  const std::string& filter) {
    std::error_code ec;
    if (!fs::is_directory(directory, ec)) {
        throw InputError(fmt::format("{}: is not a directory", directory.string()));
    }
    std::vector<ValidationCase> cases;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file() || entry.path().extension() != ".json") continue;
        std::string name =
            entry.path().lexically_relative(directory).replace_extension().generic_string();
        if (name.find(filter) != std::string::npos) cases.push_back({name, entry.path()});
    }
    if (cases.empty()) {
        throw InputError(fmt::format("{}: no case matches \"{}\"", directory.string(), filter));
    }
    std::sort(cases.begin(), cases.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return cases;
}

ValidationBounds load_bounds(const fs::path& file) { return read_bounds(ConfigNode::load(file)); }

ValidationBounds read_bounds(const ConfigNode& root) {
    ValidationBounds bounds;
    for (const std::string& name : root.keys()) {
        const ConfigNode entry = root.at(name);
        for (const std::string& metric : entry.keys()) {
            const double bound = entry.at(metric).as_quantity<Ratio>().value();
            if (bound <= 0) entry.at(metric).fail("must be more than 0");
            bounds[name][metric] = bound;
        }
    }
    return bounds;
}

std::optional<double> bound_of(const ValidationBounds& bounds, const std::string& case_name,
                               const std::string& metric) {
    const auto entry = bounds.find(case_name);
    if (entry == bounds.end()) return std::nullopt;
    const auto bound = entry->second.find(metric);
    return bound == entry->second.end() ? std::nullopt : std::optional(bound->second);
}

}  // namespace orrery
