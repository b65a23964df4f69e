#pragma once
// The fewest GPUs that will do, among numbers of engines in several pools.
//
// Of a pool alone: up from its least number in steps of 1, 1, 2, 4, ... until one will do, then
// halving what lies between it and the last that did not. So the answer's neighbour below has been
// tried; that all below it fail too is taken for granted: more engines are taken not to hurt.
// Of several pools: all numbers of the others, from the fewest GPUs on, and for each the search
// above in the pool with the widest range, among sizes with fewer GPUs than the best so far.
// `every` tries each size in order of its GPUs instead, takes nothing for granted and lasts longer.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace orrery {

using Engines = std::vector<std::int64_t>;  // by pool

struct PoolRange {
    std::int64_t least = 1, most = 1;  // engines
    std::int64_t gpus = 1;             // of an engine
};
struct SizeSpace {
    std::vector<PoolRange> pools;
    std::int64_t most_gpus = INT64_MAX;  // of all pools
    std::int64_t gpus(const Engines& engines) const;
};

// `will_do` is asked once for a size. nullopt: none does.
std::optional<Engines> fewest(const SizeSpace& space,
                              const std::function<bool(const Engines&)>& will_do,
                              bool every = false);

}  // namespace orrery
