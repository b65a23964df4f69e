#include <cmath>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"
#include "core/random.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kSizes = 0xa11;  // component of the random numbers

struct Pairwise {
    std::uint32_t ranks;
    double bytes;  // that a rank sends
    AllToAllPattern pattern;
    std::uint64_t seed;

    double draw(std::uint32_t i, std::uint32_t j) const { return unequal_share(seed, ranks, i, j); }
    template <class Send>
    void send_round(std::uint32_t i, std::uint32_t round, double share, Send send) const {
        send(i, (i + round) % ranks, std::llround(bytes * share), (std::uint64_t{i} << 32) + round);
    }
    template <class Send>
    void begin(Send send) const {
        const double even = 1.0 / (ranks - 1);
        for (std::uint32_t i = 0; i < ranks; ++i) {
            double sum = 0;
            if (pattern == AllToAllPattern::unequal) {
                for (std::uint32_t r = 1; r < ranks; ++r) sum += draw(i, (i + r) % ranks);
            }
            const std::uint32_t rounds = pattern == AllToAllPattern::shifted ? 1 : ranks - 1;
            for (std::uint32_t r = 1; r <= rounds; ++r) {
                send_round(i, r, sum > 0 ? draw(i, (i + r) % ranks) / sum : even, send);
            }
        }
    }
    template <class Send>
    void arrived(std::uint64_t tag, Send send) const {
        if (pattern != AllToAllPattern::shifted) return;
        const auto i = static_cast<std::uint32_t>(tag >> 32);
        const auto round = static_cast<std::uint32_t>(tag) + 1;
        if (round < ranks) send_round(i, round, 1.0 / (ranks - 1), send);
    }
};

}  // namespace

double unequal_share(std::uint64_t seed, std::uint32_t ranks, std::uint32_t i, std::uint32_t j) {
    return 0.5 + counter_uniform(seed, kSizes, std::uint64_t{i} * ranks + j);
}

SimDuration run_all_to_all(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    Pairwise pairwise{request.ranks, request.bytes.value(), request.pattern, request.seed};
    return run_messages(network, pairwise);
}

}  // namespace orrery
