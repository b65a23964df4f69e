#include "report/json_writer.hpp"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace orrery {

std::string json_quoted(std::string_view text) {
    using nlohmann::json;
    return json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string json_number(double value) {
    return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    text_ += json_quoted(name) + ": ";
    after_key_ = true;
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    for (const char c : json) {
        text_ += c;
        if (c == '\n') text_.append(2 * levels_.size(), ' ');
    }
    return *this;
}

JsonWriter& JsonWriter::open(char opening, char closing, bool on_one_line) {
    separate();
    const bool inside_line = !levels_.empty() && levels_.back().on_one_line;
    text_ += opening;
    levels_.push_back({closing, on_one_line || inside_line});
    return *this;
}

JsonWriter& JsonWriter::close() {
    const Level level = levels_.back();
    levels_.pop_back();
    if (!level.empty && !level.on_one_line) new_line();
    text_ += level.closing;
    return *this;
}

void JsonWriter::separate() {
    if (after_key_) {
        after_key_ = false;
        return;
    }
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (!level.empty) text_ += level.on_one_line ? ", " : ",";
    level.empty = false;
    if (!level.on_one_line) new_line();
}

void JsonWriter::new_line() {
    text_ += '\n';
    text_.append(2 * levels_.size(), ' ');
}

}  // namespace orrery
