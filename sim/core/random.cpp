#include "core/random.hpp"

#include <cmath>
#include <numbers>

namespace orrery {

double counter_normal(std::uint64_t seed, std::uint64_t component, std::uint64_t draw) {
    const double u = 1.0 - counter_uniform(seed, component, 2 * draw);  // (0, 1]
    const double v = counter_uniform(seed, component, 2 * draw + 1);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace orrery
