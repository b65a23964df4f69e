#include "core/sourced.hpp"

#include <array>
#include <stdexcept>

namespace orrery {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"measured", "specified", "published",
                                                    "derived",  "given",     "assumed"};

}  // namespace

std::string_view to_string(Origin origin) { return kNames.at(static_cast<std::size_t>(origin)); }

Origin parse_origin(std::string_view text) {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == text) return static_cast<Origin>(i);
    }
    throw std::invalid_argument(
        "origin must be measured, specified, published, derived, given or assumed");
}

}  // namespace orrery
