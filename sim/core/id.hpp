#pragma once
// Typed indices: an Id<Tag> indexes exactly one array.

#include <compare>
#include <cstdint>

namespace orrery {

template <class Tag>
struct Id {
    std::uint32_t index = 0;
    constexpr auto operator<=>(const Id&) const = default;
};

}  // namespace orrery
