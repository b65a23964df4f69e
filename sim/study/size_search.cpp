#include "study/size_search.hpp"

#include <algorithm>
#include <map>

namespace orrery {
namespace {

using WillDo = std::function<bool(const Engines&)>;

// Every combination of the pools but `left_out`, which stays at its least, from the fewest GPUs on.
std::vector<Engines> combinations(const SizeSpace& space, std::size_t left_out) {
    std::vector<Engines> all(1);
    for (std::size_t p = 0; p < space.pools.size(); ++p) {
        const PoolRange& range = space.pools[p];
        std::vector<Engines> longer;
        for (const Engines& shorter : all) {
            std::int64_t taken = 0;
            for (std::size_t q = 0; q < p; ++q) taken += shorter[q] * space.pools[q].gpus;
            const std::int64_t most = p == left_out ? range.least : range.most;
            for (std::int64_t n = range.least; n <= most; ++n) {
                if (n * range.gpus > space.most_gpus - taken) break;
                longer.push_back(shorter);
                longer.back().push_back(n);
            }
        }
        all = std::move(longer);
    }
    std::stable_sort(all.begin(), all.end(), [&](const Engines& a, const Engines& b) {
        return space.gpus(a) < space.gpus(b);
    });
    return all;
}

// The least number of engines of one pool, from `low` to `high`, the others as in `engines`.
std::optional<std::int64_t> least_of(Engines engines, std::size_t pool, std::int64_t low,
                                     std::int64_t high, const WillDo& will_do) {
    const auto at = [&](std::int64_t n) {
        engines[pool] = n;
        return will_do(engines);
    };
    std::int64_t failed = low - 1, n = low;
    for (std::int64_t step = 1; !at(n); step *= n > low + 1 ? 2 : 1) {
        failed = n;
        if (n == high) return std::nullopt;
        n = std::min(high, n + step);
    }
    while (n - failed > 1) {
        const std::int64_t middle = failed + (n - failed) / 2;
        (at(middle) ? n : failed) = middle;
    }
    return n;
}

}  // namespace

std::int64_t SizeSpace::gpus(const Engines& engines) const {
    std::int64_t sum = 0;
    for (std::size_t p = 0; p < engines.size(); ++p) sum += engines[p] * pools[p].gpus;
    return sum;
}

std::optional<Engines> fewest(const SizeSpace& space, const WillDo& will_do, bool every) {
    if (every) {
        for (const Engines& engines : combinations(space, space.pools.size())) {
            if (will_do(engines)) return engines;
        }
        return std::nullopt;
    }
    std::map<Engines, bool> known;
    const WillDo once = [&](const Engines& engines) {
        const auto [it, added] = known.try_emplace(engines);
        if (added) it->second = will_do(engines);
        return it->second;
    };
    std::size_t inner = 0;
    const auto width = [&](std::size_t p) { return space.pools[p].most - space.pools[p].least; };
    for (std::size_t p = 1; p < space.pools.size(); ++p) {
        if (width(p) > width(inner)) inner = p;
    }
    const PoolRange& range = space.pools[inner];
    std::optional<Engines> best;
    for (Engines engines : combinations(space, inner)) {
        const std::int64_t others = space.gpus(engines) - range.least * range.gpus;
        const std::int64_t limit = best ? space.gpus(*best) - 1 : space.most_gpus;
        const std::int64_t high = std::min(range.most, (limit - others) / range.gpus);
        if (high < range.least) break;  // and so are all that follow
        // With fewer engines of the others it may have failed up to here already.
        const auto n = least_of(engines, inner, range.least, high, once);
        if (!n) continue;
        engines[inner] = *n;
        best = engines;
    }
    return best;
}

}  // namespace orrery
