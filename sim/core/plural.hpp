#pragma once
// A count with its noun.

#include <cstdint>
#include <string>
#include <string_view>

namespace orrery {

// "1 request", "2 requests". For nouns whose plural ends in s.
inline std::string counted(std::int64_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace orrery
