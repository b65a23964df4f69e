#include "report/format.hpp"

#include <cmath>

#include <fmt/format.h>

#include "core/unit_text.hpp"

namespace orrery {
namespace {

bool is_share(std::string_view name) {
    return name.starts_with("mfu_") || name.ends_with("share") || name.ends_with("hit_rate") ||
           name.ends_with("error");
}

// "5.3280 MUSD" -> "5.328 MUSD".
std::string without_trailing_zeros(const std::string& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (text.find('.') >= end) return text;
    std::size_t keep = text.find_last_not_of('0', end - 1);
    if (text[keep] == '.') --keep;
    return text.substr(0, keep + 1) + text.substr(end);
}

struct Step {
    double factor;
    const char* prefix;  // "5.328 M USD"
    const char* word;    // "272.8 billion"
};
constexpr Step kSteps[] = {
    {1e12, "T", "trillion"}, {1e9, "G", "billion"}, {1e6, "M", "million"}, {1e3, "k", "thousand"}};

std::string money(double value, int digits) {
    for (const Step& step : kSteps) {
        if (std::fabs(value) < step.factor) continue;
        return fmt::format("{:#.{}g} {} USD", value / step.factor, digits, step.prefix);
    }
    if (std::fabs(value) < 1 && value != 0) return fmt::format("{:#.{}g} USD", value, digits);
    return fmt::format("{:.2f} USD", value);
}

std::string count_in_words(double value, int digits) {
    for (const Step& step : kSteps) {
        if (std::fabs(value) < step.factor) continue;
        return fmt::format("{:#.{}g} {}", value / step.factor, digits, step.word);
    }
    return fmt::format("{:.{}g}", value, digits);
}

// To so many significant digits, at least to whole ones.
std::int64_t rounded(double value, int digits) {
    const double step =
        std::max(1.0, std::pow(10.0, std::floor(std::log10(std::fabs(value))) - digits + 1));
    return std::llround(std::round(value / step) * step);
}

}  // namespace

std::string grouped(std::int64_t value) {
    std::string digits = fmt::format("{}", value);
    const std::size_t first = value < 0 ? 1 : 0;
    for (std::size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, 1, ',');
    return digits;
}

std::string format_value(std::string_view name, double value, std::string_view unit, int digits) {
    if (name.starts_with("fits_")) return value != 0 ? "yes" : "no";
    if (unit == "1" && is_share(name)) {
        const int decimals = value != 0 && std::fabs(value) < 0.1 ? digits - 1 : digits - 2;
        return fmt::format("{:.{}f} %", value * 100, std::max(decimals, 0));
    }
    if (unit == "h" && std::fabs(value) >= 1000) {
        return grouped(rounded(value, digits)) + " h";
    }
    if (unit == "USD") return money(value, digits);
    if (unit == "tokens/day") return count_in_words(value, digits);  // the title says per day
    if (unit.starts_with("tokens") && std::fabs(value) >= 1000) {
        return fmt::format("{} {}", grouped(rounded(value, digits)), unit);
    }
    return format_quantity(value, unit, digits);
}

std::string format_published(std::string_view name, double value, std::string_view unit) {
    return without_trailing_zeros(format_value(name, value, unit, 6));
}

double relative_error(double predicted, double published) {
    return (predicted - published) / published;
}

std::string format_error(double predicted, double published) {
    if (published == 0) return "";
    return fmt::format("{:+.1f} %", 100 * relative_error(predicted, published));
}

std::string changed_sentence(const std::vector<std::string>& changed) {
    if (changed.empty()) return "";
    return fmt::format(
        "Changed here: {}. Published figures describe the scenario as shipped, without {}: no "
        "error is given.",
        fmt::join(changed, ", "), changed.size() > 1 ? "these changes" : "this change");
}

std::string format_cell(const Cell& cell, const ResultColumn& column) {
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    if (const auto* count = std::get_if<std::int64_t>(&cell)) return grouped(*count);
    if (const auto* number = std::get_if<double>(&cell)) {
        return format_value(column.name, *number, column.unit, column.name == "share" ? 3 : 4);
    }
    return "";
}

}  // namespace orrery
