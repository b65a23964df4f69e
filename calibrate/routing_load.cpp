#include "calibrate/routing_load.hpp"

#include <algorithm>
#include <numeric>

namespace orrery::calibrate {
namespace {

// SplitMix64, a counter hash.
std::uint64_t mix(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

}  // namespace

std::string to_string(Routing routing) {
    return routing == Routing::balanced ? "balanced" : "skewed";
}

std::vector<std::int32_t> draw_experts(Routing routing, std::int64_t tokens, int rank, int ranks,
                                       std::uint64_t seed) {
    std::vector<std::int32_t> all(kRoutedExperts), experts;
    experts.reserve(std::size_t(tokens * kExpertsChosen));
    std::uint64_t draw = mix(mix(seed) + std::uint64_t(rank)) << 20;
    for (std::int64_t t = 0; t < tokens; ++t) {
        const bool half = routing == Routing::skewed && t % 2 == 0;
        const int among = half ? kRoutedExperts / ranks * std::max(1, ranks / 2) : kRoutedExperts;
        std::iota(all.begin(), all.end(), 0);
        for (int k = 0; k < kExpertsChosen; ++k) {  // the first 8 of a shuffle
            const auto other = k + int(mix(draw++) % std::uint64_t(among - k));
            std::swap(all[std::size_t(k)], all[std::size_t(other)]);
            experts.push_back(all[std::size_t(k)]);
        }
    }
    return experts;
}

std::vector<std::int64_t> rows_by_destination(const std::vector<std::int32_t>& experts, int ranks) {
    std::vector<std::int64_t> rows(std::size_t(ranks), 0);
    for (std::size_t first = 0; first < experts.size(); first += kExpertsChosen) {
        std::vector<bool> goes(std::size_t(ranks), false);
        for (std::size_t k = 0; k < kExpertsChosen; ++k)
            goes[std::size_t(experts[first + k] / (kRoutedExperts / ranks))] = true;
        for (std::size_t d = 0; d < goes.size(); ++d) rows[d] += goes[d];
    }
    return rows;
}

RowCounts count_rows(const std::vector<std::vector<std::int64_t>>& sent) {
    RowCounts counts;
    const auto ranks = double(sent.size());
    for (std::size_t d = 0; d < sent.size(); ++d) {
        double all = 0;
        for (const auto& from : sent) all += double(from[d]);
        const double others = all - double(sent[d][d]);
        counts.received += all / ranks;
        counts.from_others += others / ranks;
        counts.received_most = std::max(counts.received_most, all);
        counts.from_others_most = std::max(counts.from_others_most, others);
    }
    return counts;
}

}  // namespace orrery::calibrate
