#include "model/read_loads.hpp"

#include <charconv>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery {

namespace {

std::optional<double> number(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return std::nullopt;
    text = text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
    double value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::vector<double>> read_csv(const std::string& text, const std::string& file) {
    std::vector<std::vector<double>> rows;
    std::istringstream lines(text);
    std::string line;
    for (int at = 1; std::getline(lines, line); ++at) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        std::vector<double> row;
        std::istringstream cells(line);
        std::string cell, wrong;
        while (std::getline(cells, cell, ',')) {
            const auto value = number(cell);
            if (value) row.push_back(*value);
            if (!value && wrong.empty()) wrong = cell;
        }
        const bool header = row.empty() && rows.empty();
        if (!wrong.empty() && !header) {
            throw InputError(fmt::format("{}: line {}: \"{}\": must be a number", file, at, wrong));
        }
        if (!row.empty()) rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<double> read_row(const ConfigNode& node) {
    std::vector<double> row;
    for (const ConfigNode& element : node.elements()) row.push_back(element.as_number());
    return row;
}

std::vector<std::vector<double>> read_json(const ConfigNode& root) {
    const ConfigNode loads = root.is_object() ? root.at("loads") : root;
    std::vector<std::vector<double>> rows;
    if (loads.is_array() && loads.size() > 0 && loads.at(std::size_t{0}).is_array()) {
        for (const ConfigNode& layer : loads.elements()) rows.push_back(read_row(layer));
    } else {
        rows.push_back(read_row(loads));
    }
    if (root.is_object()) root.reject_unknown_keys();
    return rows;
}

}  // namespace

std::vector<std::vector<double>> read_expert_loads(const std::filesystem::path& file) {
    const std::string name = file.string();
    const bool csv = file.extension() == ".csv";
    const std::string text = read_text_file(file, "a CSV or JSON file of expert loads");
    auto rows = csv ? read_csv(text, name) : read_json(ConfigNode::parse(text, name));
    if (rows.empty() || rows[0].empty()) throw InputError(name + ": holds no loads");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].size() != rows[0].size()) {
            throw InputError(fmt::format("{}: layer {} has {} experts: must be {} as layer 0", name,
                                         i, rows[i].size(), rows[0].size()));
        }
        for (std::size_t e = 0; e < rows[i].size(); ++e) {
            if (rows[i][e] >= 0) continue;
            throw InputError(fmt::format("{}: layer {}, expert {} = {}: must be at least 0", name,
                                         i, e, rows[i][e]));
        }
    }
    return rows;
}

}  // namespace orrery
