#include "serving/trace_fields.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace orrery {
namespace {

constexpr std::int64_t kPico = 1'000'000'000'000;
constexpr std::int64_t kMostSeconds = 9'000'000;  // below 2^63 ps

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// All of `text` as digits.
std::optional<std::int64_t> digits(std::string_view text) {
    if (text.empty() || text.size() > 18) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace

void split_fields(std::string_view line, std::vector<std::string_view>& fields) {
    fields.clear();
    while (true) {
        const std::size_t comma = line.find(',');
        fields.push_back(trimmed(line.substr(0, comma)));
        if (comma == std::string_view::npos) return;
        line.remove_prefix(comma + 1);
    }
}

std::optional<std::int64_t> parse_whole(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    if (point != std::string_view::npos) {
        if (text.find_first_not_of('0', point + 1) != std::string_view::npos) return std::nullopt;
        text = text.substr(0, point);
    }
    const auto value = digits(text);
    return value && negative ? std::optional(-*value) : value;
}

std::optional<std::int64_t> parse_pico(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const auto whole = digits(text.substr(0, point));
    if (!whole || *whole > kMostSeconds) return std::nullopt;
    std::int64_t fraction = 0;
    if (point != std::string_view::npos) {
        std::int64_t unit = kPico / 10;
        for (const char c : text.substr(point + 1)) {
            if (!is_digit(c)) return std::nullopt;
            fraction += (c - '0') * unit;
            unit /= 10;  // digits past the picosecond count nothing
        }
    }
    const std::int64_t value = *whole * kPico + fraction;
    return negative ? -value : value;
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
    // YYYY-MM-DD?hh:mm:ss...
    if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
        text[16] != ':' || (text[10] != ' ' && text[10] != 'T')) {
        return std::nullopt;
    }
    const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)),
               day = digits(text.substr(8, 2)), hour = digits(text.substr(11, 2)),
               minute = digits(text.substr(14, 2));
    if (text.ends_with('Z')) text.remove_suffix(1);
    if (const std::size_t zone = text.find("+00:00"); zone != std::string_view::npos) {
        text = text.substr(0, zone);
    }
    const auto second = parse_pico(text.substr(17));
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second < 0 || *second >= 61 * kPico) {
        return std::nullopt;
    }
    return Timestamp{std::chrono::sys_days(date).time_since_epoch().count(),
                     ((*hour) * 60 + *minute) * 60 * kPico + *second};
}

std::int64_t whole_at(const LineReader& reader, const std::vector<std::string_view>& fields,
                      std::size_t column, std::string_view name, std::int64_t at_least,
                      std::int64_t at_most) {
    if (column >= fields.size()) reader.fail(fmt::format("column {} is missing", name));
    const auto value = parse_whole(fields[column]);
    if (!value || *value < at_least || *value > at_most) {
        reader.fail(fmt::format("{} = {}: must be a whole number from {} to {}", name,
                                fields[column].substr(0, 40), at_least, at_most));
    }
    return *value;
}

std::vector<std::size_t> find_columns(const LineReader& reader,
                                      const std::vector<std::string_view>& header,
                                      const std::vector<std::string_view>& names) {
    std::vector<std::size_t> columns;
    for (const std::string_view name : names) {
        const auto found = std::find(header.begin(), header.end(), name);
        if (found == header.end()) reader.fail(fmt::format("the header must name column {}", name));
        if (std::find(found + 1, header.end(), name) != header.end()) {
            reader.fail(fmt::format("the header must name column {} once", name));
        }
        columns.push_back(static_cast<std::size_t>(found - header.begin()));
    }
    return columns;
}

FlatObject::FlatObject(const LineReader& reader, std::string_view text)
    : reader_(reader), rest_(trimmed(text)) {
    if (!take('{')) malformed();
}

void FlatObject::malformed() const {
    reader_.fail(rest_.empty() ? "must be a JSON object, is cut off"
                               : fmt::format("must be a JSON object, is wrong at \"{}\"",
                                             rest_.substr(0, 20)));
}

void FlatObject::space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
        rest_.remove_prefix(1);
    }
}
char FlatObject::peek() {
    space();
    return rest_.empty() ? '\0' : rest_.front();
}
bool FlatObject::take(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
}

// Between the quotes; escapes are left as they are.
std::string_view FlatObject::text_value() {
    if (!take('"')) malformed();
    std::size_t i = 0;
    while (i < rest_.size() && rest_[i] != '"') i += rest_[i] == '\\' ? 2 : 1;
    if (i >= rest_.size()) malformed();
    const std::string_view text = rest_.substr(0, i);
    rest_.remove_prefix(i + 1);
    return text;
}

std::optional<std::string_view> FlatObject::next_key() {
    if (take('}')) {
        if (peek() != '\0') malformed();
        return std::nullopt;
    }
    if (!first_ && !take(',')) malformed();
    first_ = false;
    const std::string_view key = text_value();
    if (!take(':')) malformed();
    return key;
}

std::string_view FlatObject::number() {
    space();
    const std::size_t length = std::min(rest_.find_first_not_of("+-.0123456789eE"), rest_.size());
    if (length == 0) malformed();
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return text;
}

void FlatObject::integers(std::vector<std::uint64_t>& values) {
    values.clear();
    if (!take('[')) malformed();
    if (take(']')) return;
    do {
        space();
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc()) malformed();
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        values.push_back(value);
    } while (take(','));
    if (!take(']')) malformed();
}

void FlatObject::pass_over(int depth) {
    const char first = peek();
    if (first == '"') {
        text_value();
    } else if (first == '[' || first == '{') {
        if (depth >= kDeepest) {
            reader_.fail(fmt::format("is nested more than {} deep", kDeepest));
        }
        const char last = first == '[' ? ']' : '}';
        take(first);
        if (take(last)) return;
        do {
            if (first == '{') {
                text_value();
                if (!take(':')) malformed();
            }
            pass_over(depth + 1);
        } while (take(','));
        if (!take(last)) malformed();
    } else {
        for (const std::string_view word : {"true", "false", "null"}) {
            if (!rest_.starts_with(word)) continue;
            rest_.remove_prefix(word.size());
            return;
        }
        number();
    }
}

}  // namespace orrery
