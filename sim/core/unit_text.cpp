#include "core/unit_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

namespace orrery {
namespace {

struct Prefix {
    std::string_view text;
    double factor;
};
constexpr std::array<Prefix, 16> kPrefixes = {{{"Ki", 1024.0},
                                               {"Mi", 1048576.0},
                                               {"Gi", 1073741824.0},
                                               {"Ti", 1099511627776.0},
                                               {"Pi", 1125899906842624.0},
                                               {"p", 1e-12},
                                               {"n", 1e-9},
                                               {"u", 1e-6},
                                               {"m", 1e-3},
                                               {"k", 1e3},
                                               {"K", 1e3},
                                               {"M", 1e6},
                                               {"G", 1e9},
                                               {"T", 1e12},
                                               {"P", 1e15},
                                               {"E", 1e18}}};

struct UnitForm {
    std::string_view unit;
    double factor;  // to the base unit
};

// Unit texts accepted for one base unit, without prefix.
const std::map<std::string_view, std::vector<UnitForm>>& unit_forms() {
    static const std::map<std::string_view, std::vector<UnitForm>> forms = {
        {"s", {{"s", 1.0}}},
        {"B", {{"B", 1.0}}},
        {"FLOP", {{"FLOP", 1.0}}},
        {"B/s", {{"B/s", 1.0}, {"b/s", 0.125}, {"bit/s", 0.125}}},
        {"FLOP/s", {{"FLOP/s", 1.0}, {"FLOPS", 1.0}}},
        {"Hz", {{"Hz", 1.0}}},
        {"W", {{"W", 1.0}}},
        {"USD", {{"USD", 1.0}}},
        {"USD/h", {{"USD/h", 1.0}}},
    };
    return forms;
}

std::string_view example_of(std::string_view base) {
    static const std::map<std::string_view, std::string_view> examples = {
        {"s", "a time such as \"25 us\""},
        {"B", "a size such as \"80 GB\" or \"1 GiB\""},
        {"FLOP", "an operation count such as \"250 GFLOP\""},
        {"B/s", "a data rate such as \"50 GB/s\" or \"400 Gb/s\""},
        {"FLOP/s", "a compute rate such as \"989 TFLOP/s\""},
        {"Hz", "a frequency such as \"1.98 GHz\""},
        {"W", "a power such as \"700 W\""},
        {"USD", "an amount of money such as \"5.3 MUSD\""},
        {"USD/h", "a price such as \"2 USD/h\""},
        {"1", "a plain number or a percentage such as \"85 %\""}};
    return examples.at(base);
}

double parse_text(std::string_view text, std::string_view base) {
    const auto fail = [&]() -> double {
        throw std::invalid_argument(fmt::format("must be {}", example_of(base)));
    };
    double number = 0.0;
    const char* end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data(), end, number);
    if (ec != std::errc() || !std::isfinite(number)) return fail();
    std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    if (base == "1") {
        if (unit.empty()) return number;
        return unit == "%" ? number * 0.01 : fail();
    }
    if (base == "s") {
        if (unit == "min") return number * 60.0;
        if (unit == "h") return number * 3600.0;
        if (unit == "d") return number * 86400.0;
    }
    for (const UnitForm& form : unit_forms().at(base)) {
        if (unit == form.unit) return number * form.factor;
        if (unit.size() <= form.unit.size() || !unit.ends_with(form.unit)) continue;
        const std::string_view prefix = unit.substr(0, unit.size() - form.unit.size());
        for (const Prefix& p : kPrefixes) {
            if (p.text == prefix) return number * p.factor * form.factor;
        }
    }
    return fail();
}

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
        return fmt::format("{:.{}g}", value, significant_digits);
    }
    static constexpr std::array<Prefix, 9> kSteps = {{{"p", 1e-12},
                                                      {"n", 1e-9},
                                                      {"u", 1e-6},
                                                      {"m", 1e-3},
                                                      {"", 1.0},
                                                      {"k", 1e3},
                                                      {"M", 1e6},
                                                      {"G", 1e9},
                                                      {"T", 1e12}}};
    const bool prefixed = base_unit != "USD/h" && base_unit != "h" && base_unit != "%";
    std::size_t step = 4;
    if (prefixed && value != 0.0) {
        const double magnitude = std::fabs(value);
        const bool small_allowed = base_unit == "s";
        while (step > (small_allowed ? 0U : 4U) && magnitude < kSteps[step].factor) --step;
        const std::size_t largest = base_unit == "s" ? 4 : 8;
        while (step < largest && magnitude >= kSteps[step + 1].factor) ++step;
    }
    const double scaled = value / kSteps[step].factor;
    const double magnitude = std::fabs(scaled);
    int decimals = significant_digits - 1;
    for (double limit = 10.0; decimals > 0 && magnitude >= limit; limit *= 10.0) --decimals;
    return fmt::format("{:.{}f} {}{}", scaled, decimals, kSteps[step].text, base_unit);
}

}  // namespace orrery
