#pragma once
// Every number that describes hardware carries where it came from; the weakest origin underneath a
// result is reported with the result.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery {

// Ordered from strongest to weakest.
enum class Origin : std::uint8_t {
    measured,   // timed by us on real hardware
    specified,  // a vendor's data sheet
    published,  // measured and printed by somebody else
    derived,    // scaled from another figure by a stated rule
    given,      // set by the user
    assumed,    // nobody's figure: an assumption, stated as such
};

std::string_view to_string(Origin origin);
// Throws std::invalid_argument where the text names no origin.
Origin parse_origin(std::string_view text);
constexpr Origin weakest(Origin a, Origin b) { return std::max(a, b); }

// Origin and citation of a figure: a file, a data sheet, a paper's table.
struct Provenance {
    Origin origin = Origin::assumed;
    std::string source;
};

template <class T>
struct Sourced {
    T value{};
    Provenance from;
};

}  // namespace orrery
