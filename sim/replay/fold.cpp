#include "replay/fold.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_map>

#include "core/random.hpp"

namespace orrery {
namespace {

// Renames hashes to 0, 1, 2, ... in order of first appearance; returns how many there are.
std::uint32_t compact(const std::vector<std::uint64_t>& hashes, std::vector<std::uint32_t>& ids) {
    std::unordered_map<std::uint64_t, std::uint32_t> names;
    ids.resize(hashes.size());
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        const auto name = static_cast<std::uint32_t>(names.size());
        ids[i] = names.try_emplace(hashes[i], name).first->second;
    }
    return static_cast<std::uint32_t>(names.size());
}

// Hash of every group: the multiset of its members' colours (an order-free sum).
std::array<std::vector<std::uint64_t>, kGroups> group_hashes(
    const ReplayInput& input, const std::vector<std::uint32_t>& colour) {
    std::array<std::vector<std::uint64_t>, kGroups> hashes;
    for (std::size_t kind = 0; kind < kGroups; ++kind) {
        hashes[kind].assign(std::max<std::uint32_t>(input.group_count[kind], 1), 0);
        for (std::size_t r = 0; r < input.ranks.size(); ++r) {
            hashes[kind][input.ranks[r].group[kind]] += mix64(colour[r] + 1);
        }
    }
    return hashes;
}

std::uint64_t share_hash(std::size_t pattern, const LinkShare& share, std::uint64_t other) {
    return mix64(mix64(static_cast<std::uint64_t>(share.units) + (std::uint64_t{pattern} << 48)) ^
                 other);
}

constexpr auto kExpert = static_cast<std::size_t>(Group::expert);

// What each link carries for whom; none without a shared network.
std::vector<std::uint64_t> link_hashes(const ReplayInput& input,
                                       const std::vector<std::uint64_t>& groups,
                                       const std::vector<std::uint32_t>& colour) {
    std::vector<std::uint64_t> hashes;
    if (!input.network) return hashes;
    const SharedNetwork& network = *input.network;
    for (const double capacity : network.capacity) {
        hashes.push_back(mix64(std::bit_cast<std::uint64_t>(capacity)));
    }
    const auto add = [&](const auto& patterns, std::size_t first, const auto& hash_of) {
        for (std::size_t p = 0; p < patterns.size(); ++p) {
            for (std::size_t owner = 0; owner < patterns[p].owners(); ++owner) {
                for (const LinkShare& share : patterns[p].of(owner)) {
                    hashes[share.link] += share_hash(first + p, share, hash_of(owner));
                }
            }
        }
    };
    add(network.group_patterns, 0, [&](std::size_t g) { return groups[g]; });
    add(network.message_patterns, network.group_patterns.size(),
        [&](std::size_t r) { return mix64(colour[r] + 1); });
    return hashes;
}

// Sums over the links that an owner's transfers load.
template <class Patterns>
std::uint64_t loads_hash(const Patterns& patterns, std::size_t owner,
                         const std::vector<std::uint64_t>& links) {
    std::uint64_t sum = 0;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
        for (const LinkShare& share : patterns[p].of(owner)) {
            sum += share_hash(p, share, links[share.link]);
        }
    }
    return sum;
}

std::uint32_t refine(const ReplayInput& input, std::vector<std::uint32_t>& colour) {
    auto groups = group_hashes(input, colour);
    const auto links = link_hashes(input, groups[kExpert], colour);
    if (input.network) {
        for (std::size_t g = 0; g < groups[kExpert].size(); ++g) {
            groups[kExpert][g] =
                mix64(groups[kExpert][g] + loads_hash(input.network->group_patterns, g, links));
        }
    }
    const std::size_t ranks = input.ranks.size();
    const std::size_t lanes = input.lanes;
    // The colours along a lane, in order: whom this rank's messages can reach or come from.
    std::vector<std::uint64_t> lane_hash(lanes, 0);
    for (std::size_t r = 0; r < ranks; ++r) {
        lane_hash[r % lanes] = mix64(mix64(lane_hash[r % lanes]) + colour[r]);
    }
    std::vector<std::uint64_t> next(ranks);
    for (std::size_t r = 0; r < ranks; ++r) {
        std::uint64_t h = mix64(mix64(colour[r] + 1) + lane_hash[r % lanes]);
        for (std::size_t kind = 0; kind < kGroups; ++kind) {
            h = mix64(h + groups[kind][input.ranks[r].group[kind]]);
        }
        if (input.network) h = mix64(h + loads_hash(input.network->message_patterns, r, links));
        next[r] = h;
    }
    return compact(next, colour);
}

std::vector<std::uint32_t> stable_colours(const ReplayInput& input) {
    std::vector<std::uint64_t> first(input.ranks.size());
    for (std::size_t r = 0; r < first.size(); ++r) {
        const RankPlace& place = input.ranks[r];
        first[r] = mix64(mix64(place.program) + std::bit_cast<std::uint64_t>(place.slowness));
        first[r] = mix64(first[r] + place.segment_variant) + place.collective_variant;
    }
    std::vector<std::uint32_t> colour;
    std::uint32_t count = compact(first, colour);
    while (true) {
        const std::uint32_t refined = refine(input, colour);
        if (refined == count) return colour;
        count = refined;
    }
}

// Links of one colour once the ranks' colours are stable; each for itself where nothing folds.
std::vector<std::uint32_t> representatives(const ReplayInput& input, const Folding& folding,
                                           const std::vector<std::uint64_t>& groups) {
    const auto hashes = link_hashes(input, groups, folding.class_of);
    std::vector<std::uint32_t> result(hashes.size());
    std::unordered_map<std::uint64_t, std::uint32_t> first;
    const bool folded = folding.classes.size() < input.ranks.size();
    for (std::uint32_t link = 0; link < hashes.size(); ++link) {
        result[link] = folded ? first.try_emplace(hashes[link], link).first->second : link;
    }
    return result;
}

}  // namespace

Folding fold(const ReplayInput& input, bool enabled) {
    const std::size_t ranks = input.ranks.size();
    Folding result;
    if (enabled && input.jitter == 0.0) {
        result.class_of = stable_colours(input);
    } else {
        result.class_of.resize(ranks);
        std::iota(result.class_of.begin(), result.class_of.end(), 0U);
    }
    for (std::size_t r = 0; r < ranks; ++r) {
        const std::uint32_t c = result.class_of[r];
        if (c == result.classes.size()) {
            result.classes.push_back({static_cast<std::uint32_t>(r), 0, {}, {}});
        }
        ++result.classes[c].members;
    }
    // Group classes: groups with the same classes of members, counted, are one.
    const auto hashes = group_hashes(input, result.class_of);
    for (std::size_t kind = 0; kind < kGroups; ++kind) {
        std::vector<std::uint32_t> group_class;
        const bool folded = result.classes.size() < ranks;
        if (folded) {
            result.group_classes[kind].resize(compact(hashes[kind], group_class));
        } else {
            group_class.resize(hashes[kind].size());
            std::iota(group_class.begin(), group_class.end(), 0U);
            result.group_classes[kind].resize(group_class.size());
        }
        for (std::uint32_t c = 0; c < result.classes.size(); ++c) {
            const RankPlace& place = input.ranks[result.classes[c].representative];
            const std::uint32_t g = group_class[place.group[kind]];
            result.classes[c].group[kind] = g;
            result.group_classes[kind][g].push_back(c);
        }
    }
    result.link_representative = representatives(input, result, hashes[kExpert]);
    const std::size_t lanes = input.lanes;
    for (RankClass& c : result.classes) {
        for (std::size_t r = c.representative % lanes; r < ranks; r += lanes) {
            c.peers.push_back(result.class_of[r]);
        }
    }
    return result;
}

}  // namespace orrery
