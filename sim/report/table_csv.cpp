#include "report/table_csv.hpp"

#include <fmt/format.h>

#include "report/json_writer.hpp"

namespace orrery {
namespace {

std::string cell_text(const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) return csv_field(*text);
    if (const auto* number = std::get_if<double>(&cell)) return json_number(*number);
    if (const auto* count = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *count);
    return "";
}

}  // namespace

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string table_csv(const ResultTable& table) {
    std::string text;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const auto& [name, unit] = table.columns[c];
        const bool plain = unit.empty() || unit == "1";
        text += (c == 0 ? "" : ",") + csv_field(plain ? name : fmt::format("{} [{}]", name, unit));
    }
    text += "\n";
    for (const auto& row : table.rows) {
        for (std::size_t c = 0; c < row.size(); ++c)
            text += (c == 0 ? "" : ",") + cell_text(row[c]);
        text += "\n";
    }
    return text;
}

}  // namespace orrery
