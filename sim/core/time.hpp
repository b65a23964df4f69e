#pragma once
// Simulated time: 64-bit integer picoseconds, so that order and sums are exact and the same on
// every machine. Range 106 days; leaving it is an error, never a wrap-around.

#include <compare>
#include <cstdint>

#include "core/quantity.hpp"

namespace orrery {

// A length of simulated time in picoseconds, never negative in a valid simulation.
struct SimDuration {
    std::int64_t ps = 0;
    constexpr auto operator<=>(const SimDuration&) const = default;
};

// A point in simulated time, picoseconds since the start of the simulation.
struct SimTime {
    std::int64_t ps = 0;
    constexpr auto operator<=>(const SimTime&) const = default;
};

constexpr SimDuration operator-(SimTime a, SimTime b) { return {a.ps - b.ps}; }
constexpr SimDuration operator-(SimDuration a, SimDuration b) { return {a.ps - b.ps}; }
// These three throw std::overflow_error past 106 days.
SimTime operator+(SimTime t, SimDuration d);
SimDuration operator+(SimDuration a, SimDuration b);
SimDuration operator*(SimDuration a, std::int64_t n);

// The one place where modelled seconds become exact time: rounds to the nearest picosecond.
// Throws std::overflow_error where the value is negative, not finite or beyond the range.
SimDuration to_sim_duration(Seconds seconds);
constexpr Seconds to_seconds(SimDuration d) { return Seconds(static_cast<double>(d.ps) * 1e-12); }
constexpr Seconds to_seconds(SimTime t) { return Seconds(static_cast<double>(t.ps) * 1e-12); }

}  // namespace orrery
