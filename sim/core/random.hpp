#pragma once
// Counter-based random numbers: draw number n of component c under a seed is a pure function of
// (seed, c, n), so results do not depend on event order, folding or thread count.

#include <cstdint>

namespace orrery {

// SplitMix64's step and finaliser: mix64(0) is that generator's first number from seed 0.
constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}
// Well-mixed 64-bit hash of three words.
constexpr std::uint64_t counter_hash(std::uint64_t seed, std::uint64_t component,
                                     std::uint64_t draw) {
    return mix64(mix64(mix64(seed) ^ component) ^ draw);
}
// Uniform in [0, 1) with 53 random bits.
constexpr double counter_uniform(std::uint64_t seed, std::uint64_t component, std::uint64_t draw) {
    return static_cast<double>(counter_hash(seed, component, draw) >> 11) * 0x1.0p-53;
}
// Standard normal by Box-Muller; uses draws 2n and 2n+1 of the component.
double counter_normal(std::uint64_t seed, std::uint64_t component, std::uint64_t draw);

}  // namespace orrery
