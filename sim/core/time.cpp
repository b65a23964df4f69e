#include "core/time.hpp"

#include <cmath>
#include <stdexcept>

namespace orrery {
namespace {

constexpr double kLargestPicoseconds = 9.2e18;

[[noreturn]] void fail_out_of_range() {
    throw std::overflow_error("simulated time exceeds 106 days (64-bit picoseconds)");
}

std::int64_t checked_sum(std::int64_t a, std::int64_t b) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) fail_out_of_range();
    return sum;
}

}  // namespace

SimTime operator+(SimTime t, SimDuration d) { return {checked_sum(t.ps, d.ps)}; }
SimDuration operator+(SimDuration a, SimDuration b) { return {checked_sum(a.ps, b.ps)}; }
SimDuration operator*(SimDuration a, std::int64_t n) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(a.ps, n, &product)) fail_out_of_range();
    return {product};
}

SimDuration to_sim_duration(Seconds seconds) {
    const double ps = seconds.value() * 1e12;
    if (!(ps >= 0.0) || ps > kLargestPicoseconds) {
        throw std::overflow_error("duration is negative, not finite or longer than 106 days");
    }
    return {static_cast<std::int64_t>(std::llround(ps))};
}

}  // namespace orrery
