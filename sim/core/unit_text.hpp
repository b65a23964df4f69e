#pragma once
// Quantities in text: a number, a space, a unit: "50 GB/s", "25 us", "989 TFLOP/s", "80 GiB",
// "2 USD/h". The one place that knows B from b (bits) and Gi (2^30) from G (10^9).

#include <string>
#include <string_view>

#include "core/quantity.hpp"

namespace orrery {

// What a unit measures, e.g. "time in s", used in messages.
template <class Q>
std::string_view unit_of();  // "s", "B", "FLOP", "B/s", "FLOP/s", "Hz", "W", "USD", "USD/h", "1"

// Parses the text to base units. Throws std::invalid_argument with the rule where the number or the
// unit is wrong ("must be a data rate such as \"50 GB/s\"").
template <class Q>
Q parse_quantity(std::string_view text);

// Shortest readable form with an SI prefix: "19.93 s", "1.13 ms", "58.7 MB", "400 GB/s".
std::string format_quantity(double value, std::string_view base_unit, int significant_digits = 4);
template <class Q>
std::string to_text(Q q, int significant_digits = 4) {
    return format_quantity(q.value(), unit_of<Q>(), significant_digits);
}

}  // namespace orrery
