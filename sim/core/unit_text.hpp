#pragma once
// Quantities in text: a number, a space, a unit: "50 GB/s", "25 us", "989 TFLOP/s", "80 GiB",
// "2 USD/h". The one place that knows B from b (bits) and Gi (2^30) from G (10^9).

#include <string>
#include <string_view>

#include "core/quantity.hpp"

namespace orrery {

// The base unit: "s", "B", "FLOP", "B/s", "FLOP/s", "Hz", "W", "USD", "USD/h", "1" (a Ratio).
template <class Q>
std::string_view unit_of();
// What a text for that base unit must be, for messages: "must be a time such as \"25 us\"".
std::string quantity_rule(std::string_view base_unit);

// Parses the text to base units. Prefixes: p n u m for seconds and watts; k (or K) M G T P E Z Y =
// 10^3 ... 10^24 for everything but seconds and prices; Ki Mi Gi Ti Pi Ei = 2^10 ... 2^60 for bytes
// and data rates. Also "min", "h", "d", "FLOPS", "Gb/s" or "Gbit/s" (8 bits to the byte), "85 %".
// Throws std::invalid_argument with the rule where number or unit is wrong, where the value is
// negative (ratios may be) or a rate is zero.
template <class Q>
Q parse_quantity(std::string_view text);

// Readable form with an SI prefix and so many digits: "19.93 s", "1.130 ms", "58.70 MB", "512 B".
// Hours, prices, percentages and plain ratios take no prefix.
std::string format_quantity(double value, std::string_view base_unit, int significant_digits = 4);
template <class Q>
std::string to_text(Q q, int significant_digits = 4) {
    return format_quantity(q.value(), unit_of<Q>(), significant_digits);
}

}  // namespace orrery
