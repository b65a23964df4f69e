#include "serving/acceptance.hpp"

#include "core/random.hpp"

namespace orrery {

double tokens_per_step(const Speculation& speculation) {
    double tokens = 1, all = 1;
    for (const double a : speculation.acceptance) tokens += all *= a;
    return tokens;
}

std::int64_t draw_steps(const Speculation& speculation, std::int64_t number, std::int64_t emitted,
                        std::int64_t tokens) {
    if (speculation.acceptance.empty()) return tokens;
    std::int64_t steps = 0;
    for (std::int64_t given = 0; given < tokens; ++steps) {
        const double u = counter_uniform(speculation.seed, static_cast<std::uint64_t>(number),
                                         static_cast<std::uint64_t>(emitted + given));
        double all = 1;
        ++given;
        for (const double a : speculation.acceptance) {
            if (u >= (all *= a)) break;
            ++given;
        }
    }
    return steps;
}

}  // namespace orrery
