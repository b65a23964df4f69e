#pragma once
// Values as people read them: "19.93 s", "38.94 %", "272.8 billion", "2,664,000 h".

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/run_result.hpp"

namespace orrery {

// 1234567 -> "1,234,567".
std::string grouped(std::int64_t value);

// `digits` significant digits; trailing zeros kept. Ratios whose metric is a share (mfu_*, *_share,
// "share", "error") print as percentages, fits_* as yes or no.
std::string format_value(std::string_view name, double value, std::string_view unit,
                         int digits = 4);
// A published figure, as many digits as it was printed with (up to 6), no trailing zeros.
std::string format_published(std::string_view name, double value, std::string_view unit);

// Relative difference "+1.9 %"; empty where the reference is zero.
std::string format_error(double predicted, double published);
// (predicted - published) / published.
double relative_error(double predicted, double published);

// What heads figures that describe the scenario without the overrides of this run.
inline constexpr const char* kPublishedAsShipped = "published, as shipped";
// "Changed here: a=1, b=2. The figures headed ... no error is given."; empty without changes.
std::string changed_sentence(const std::vector<std::string>& changed);

// A cell of a breakdown table.
std::string format_cell(const Cell& cell, const ResultColumn& column);

}  // namespace orrery
