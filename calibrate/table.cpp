#include "calibrate/table.hpp"

#include <cmath>
#include <fstream>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery::calibrate {

std::string cell_text(const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    const double v = std::get<double>(cell);
    if (!std::isfinite(v)) return "null";
    if (v == std::floor(v) && std::abs(v) < 1e15) return fmt::format("{:.0f}", v);
    return fmt::format("{:.6g}", v);
}

std::string key_of(const Row& row, std::size_t keys) {
    std::string key;
    for (std::size_t i = 0; i < keys && i < row.size(); ++i) {
        if (i > 0) key += '|';
        key += cell_text(row[i]);
    }
    return key;
}

std::string json_text(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", int(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string json_row(const Row& row) {
    std::string out = "[";
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) out += ", ";
        const auto* text = std::get_if<std::string>(&row[i]);
        out += text ? json_text(*text) : cell_text(row[i]);
    }
    return out + "]";
}

void write_file(const std::filesystem::path& file, const std::string& text) {
    const std::filesystem::path part = file.string() + ".part";
    std::ofstream out(part, std::ios::binary);
    out << text;
    out.close();
    if (!out) throw InputError(fmt::format("{}: cannot be written", file.string()));
    std::filesystem::rename(part, file);
}

}  // namespace orrery::calibrate
