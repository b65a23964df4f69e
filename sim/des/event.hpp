#pragma once
// One pending event: when, at which component, what. 16 bytes, passed by value in two registers.

#include <cstdint>

namespace orrery {

struct Event {
    std::int64_t time_ps = 0;  // when it happens, picoseconds since the start of the simulation
    std::uint32_t target = 0;  // component that handles it; what it indexes is the system's choice
    std::uint32_t kind_and_generation = 0;  // kind in the top 8 bits, generation in the low 24

    // A prediction that was superseded is not removed from the queue: the component counts its
    // predictions modulo 2^24, and drops an event whose generation is not the latest.
    static constexpr std::uint32_t kGenerationMask = 0x00ff'ffffU;

    // `generation` is reduced modulo 2^24.
    static constexpr Event make(std::int64_t time_ps, std::uint8_t kind, std::uint32_t target,
                                std::uint32_t generation = 0) {
        return {time_ps, target, std::uint32_t{kind} << 24 | (generation & kGenerationMask)};
    }
    constexpr std::uint8_t kind() const {
        return static_cast<std::uint8_t>(kind_and_generation >> 24);
    }
    constexpr std::uint32_t generation() const { return kind_and_generation & kGenerationMask; }

    constexpr bool operator==(const Event&) const = default;
};
static_assert(sizeof(Event) == 16);

}  // namespace orrery
