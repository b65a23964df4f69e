#include "core/unit_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace orrery {
namespace {

// A prefix multiplies by `times` and divides by `over`; one of them is 1, so that the value is the
// double nearest to the decimal text ("25 us" is exactly 25e-6).
struct Prefix {
    std::string_view text;
    double times;
    double over;
};

constexpr std::array<Prefix, 6> kSmall = {{{"p", 1.0, 1e12},
                                           {"n", 1.0, 1e9},
                                           {"u", 1.0, 1e6},
                                           {"\u00b5", 1.0, 1e6},  // micro sign
                                           {"\u03bc", 1.0, 1e6},  // Greek mu
                                           {"m", 1.0, 1e3}}};
constexpr std::array<Prefix, 9> kLarge = {{{"k", 1e3, 1.0},
                                           {"K", 1e3, 1.0},
                                           {"M", 1e6, 1.0},
                                           {"G", 1e9, 1.0},
                                           {"T", 1e12, 1.0},
                                           {"P", 1e15, 1.0},
                                           {"E", 1e18, 1.0},
                                           {"Z", 1e21, 1.0},
                                           {"Y", 1e24, 1.0}}};
constexpr std::array<Prefix, 6> kBinary = {{{"Ki", 0x1p10, 1.0},
                                            {"Mi", 0x1p20, 1.0},
                                            {"Gi", 0x1p30, 1.0},
                                            {"Ti", 0x1p40, 1.0},
                                            {"Pi", 0x1p50, 1.0},
                                            {"Ei", 0x1p60, 1.0}}};

// A unit's text and its size in base units.
struct UnitForm {
    std::string_view text;
    double factor;
};

// One base unit: what may be written for it and what its values may be.
struct UnitRule {
    std::string_view base;
    std::string_view rule;
    std::array<UnitForm, 3> prefixed = {};  // forms that take prefixes; unused ones are empty
    std::array<UnitForm, 3> bare = {};      // forms that take none
    bool small = false;                     // which prefixes make sense
    bool large = false;
    bool binary = false;
    bool above_zero = false;  // a rate of zero would make times infinite
};

constexpr std::array<UnitRule, 10> kRules = {{
    {.base = "s",
     .rule = "a time such as \"25 us\"",
     .prefixed = {{{"s", 1.0}}},
     .bare = {{{"min", 60.0}, {"h", 3600.0}, {"d", 86400.0}}},
     .small = true},
    {.base = "B",
     .rule = "a size such as \"80 GB\" or \"1 GiB\"",
     .prefixed = {{{"B", 1.0}}},
     .large = true,
     .binary = true},
    {.base = "FLOP",
     .rule = "an operation count such as \"250 GFLOP\"",
     .prefixed = {{{"FLOP", 1.0}}},
     .large = true},
    {.base = "B/s",
     .rule = "a data rate such as \"50 GB/s\" or \"400 Gb/s\"",
     .prefixed = {{{"B/s", 1.0}, {"b/s", 0.125}, {"bit/s", 0.125}}},
     .large = true,
     .binary = true,
     .above_zero = true},
    {.base = "FLOP/s",
     .rule = "a compute rate such as \"989 TFLOP/s\"",
     .prefixed = {{{"FLOP/s", 1.0}, {"FLOPS", 1.0}}},
     .large = true,
     .above_zero = true},
    {.base = "Hz",
     .rule = "a frequency such as \"1.98 GHz\"",
     .prefixed = {{{"Hz", 1.0}}},
     .large = true,
     .above_zero = true},
    {.base = "W",
     .rule = "a power such as \"700 W\"",
     .prefixed = {{{"W", 1.0}}},
     .small = true,
     .large = true},
    {.base = "USD",
     .rule = "an amount of money such as \"5.3 MUSD\"",
     .prefixed = {{{"USD", 1.0}}},
     .large = true},
    {.base = "USD/h", .rule = "a price such as \"2 USD/h\"", .bare = {{{"USD/h", 1.0}}}},
    {.base = "1", .rule = "a plain number or a percentage such as \"85 %\""},
}};

const UnitRule& rule_of(std::string_view base) {
    for (const UnitRule& rule : kRules) {
        if (rule.base == base) return rule;
    }
    throw std::invalid_argument(fmt::format("no such base unit: {}", base));
}

template <std::size_t N>
const Prefix* find_prefix(const std::array<Prefix, N>& prefixes, std::string_view text) {
    for (const Prefix& p : prefixes) {
        if (p.text == text) return &p;
    }
    return nullptr;
}

const Prefix* find_prefix(const UnitRule& rule, std::string_view text) {
    static constexpr Prefix kNone = {"", 1.0, 1.0};
    if (text.empty()) return &kNone;
    const Prefix* found = rule.small ? find_prefix(kSmall, text) : nullptr;
    if (found == nullptr && rule.large) found = find_prefix(kLarge, text);
    if (found == nullptr && rule.binary) found = find_prefix(kBinary, text);
    return found;
}

// The number in base units; false where the unit is not one of the rule's.
bool to_base_units(const UnitRule& rule, std::string_view unit, double& number) {
    if (rule.base == "1") {
        if (unit == "%") number /= 100.0;
        return unit.empty() || unit == "%";
    }
    for (const UnitForm& form : rule.bare) {
        if (form.text.empty() || unit != form.text) continue;
        number *= form.factor;
        return true;
    }
    for (const UnitForm& form : rule.prefixed) {
        if (form.text.empty() || !unit.ends_with(form.text)) continue;
        const Prefix* prefix = find_prefix(rule, unit.substr(0, unit.size() - form.text.size()));
        if (prefix == nullptr) continue;
        number = number * prefix->times / prefix->over * form.factor;
        return true;
    }
    return false;
}

double parse_text(std::string_view text, std::string_view base) {
    const UnitRule& rule = rule_of(base);
    double number = 0.0;
    const char* end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data(), end, number);
    std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    if (ec != std::errc() || !to_base_units(rule, unit, number) || !std::isfinite(number)) {
        throw std::invalid_argument(quantity_rule(base));
    }
    if (rule.above_zero && number <= 0.0) throw std::invalid_argument("must be above zero");
    if (base != "1" && number < 0.0) throw std::invalid_argument("must not be negative");
    return number;
}

// Prefixes for writing, in steps of a thousand around the bare unit.
constexpr std::string_view kSteps = "pnum kMGTPEZY";
constexpr int kBareStep = 4;

}  // namespace

// clang-format off
template <> std::string_view unit_of<Seconds>() { return "s"; }
template <> std::string_view unit_of<Bytes>() { return "B"; }
template <> std::string_view unit_of<Flops>() { return "FLOP"; }
template <> std::string_view unit_of<BytesPerSecond>() { return "B/s"; }
template <> std::string_view unit_of<FlopsPerSecond>() { return "FLOP/s"; }
template <> std::string_view unit_of<Hertz>() { return "Hz"; }
template <> std::string_view unit_of<Watts>() { return "W"; }
template <> std::string_view unit_of<Dollars>() { return "USD"; }
template <> std::string_view unit_of<DollarsPerHour>() { return "USD/h"; }
template <> std::string_view unit_of<Ratio>() { return "1"; }
// clang-format on

std::string quantity_rule(std::string_view base_unit) {
    return fmt::format("must be {}", rule_of(base_unit).rule);
}

template <class Q>
Q parse_quantity(std::string_view text) {
    return Q(parse_text(text, unit_of<Q>()));
}
template Seconds parse_quantity<Seconds>(std::string_view);
template Bytes parse_quantity<Bytes>(std::string_view);
template Flops parse_quantity<Flops>(std::string_view);
template BytesPerSecond parse_quantity<BytesPerSecond>(std::string_view);
template FlopsPerSecond parse_quantity<FlopsPerSecond>(std::string_view);
template Hertz parse_quantity<Hertz>(std::string_view);
template Watts parse_quantity<Watts>(std::string_view);
template Dollars parse_quantity<Dollars>(std::string_view);
template DollarsPerHour parse_quantity<DollarsPerHour>(std::string_view);
template Ratio parse_quantity<Ratio>(std::string_view);

std::string format_quantity(double value, std::string_view base_unit, int significant_digits) {
    if (base_unit == "1" || base_unit.empty()) {
        // A count has its whole digits: 10000, not 1e+04.
        const double size = std::fabs(value);
        if (size >= std::pow(10.0, significant_digits - 1) && size < 1e15) {
            return fmt::format("{:.0f}", value);
        }
        return fmt::format("{:.{}g}", value, significant_digits);
    }
    if (value == 0.0 || !std::isfinite(value)) return fmt::format("{:g} {}", value, base_unit);
    // Rounded first, so that 999.99 GB becomes 1.000 TB and not 1000.0 GB.
    const std::string rounded = fmt::format("{:.{}e}", value, significant_digits - 1);
    const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
    const bool time = base_unit == "s";
    const bool prefixed = base_unit != "USD/h" && base_unit != "h" && base_unit != "%";
    const int largest = prefixed && !time ? static_cast<int>(kSteps.size()) - 1 : kBareStep;
    const int wanted = kBareStep + static_cast<int>(std::floor(exponent / 3.0));
    const int step = std::clamp(wanted, time ? 0 : kBareStep, largest);
    const int power = 3 * (step - kBareStep);
    // Bytes and operations are counts: no decimals where there is nothing behind the point.
    const bool count = power == 0 && (base_unit == "B" || base_unit == "FLOP");
    const int decimals = count && value == std::floor(value)
                             ? 0
                             : std::max(0, significant_digits - 1 - (exponent - power));
    const double scaled = power < 0 ? std::stod(rounded) * std::pow(10.0, -power)
                                    : std::stod(rounded) / std::pow(10.0, power);
    const std::string_view prefix = kSteps.substr(static_cast<std::size_t>(step), 1);
    return fmt::format("{:.{}f} {}{}", scaled, decimals, prefix == " " ? "" : prefix, base_unit);
}

}  // namespace orrery
