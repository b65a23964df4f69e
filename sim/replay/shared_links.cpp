#include "replay/shared_links.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {
namespace {

constexpr double kUnits = 1 << 24;
constexpr std::uint32_t kNotRepresentative = UINT32_MAX;
constexpr auto kExpert = static_cast<std::size_t>(Group::expert);

}  // namespace

void LinkPattern::add(std::size_t owner, std::uint32_t link, double coefficient) {
    auto& shares = shares_.at(owner);
    const std::int64_t units = std::llround(coefficient * kUnits);
    const auto at = std::lower_bound(
        shares.begin(), shares.end(), link,
        [](const LinkShare& share, std::uint32_t wanted) { return share.link < wanted; });
    if (at != shares.end() && at->link == link) {
        at->units += units;
    } else if (units > 0) {
        shares.insert(at, {link, units});
    }
}

SharedLinks::SharedLinks(const ReplayInput& input, const Folding& folding)
    : input_(input),
      flow_link_(input.network->capacity.size(), kNotRepresentative),
      groups_(folding.group_classes[kExpert].size()),
      ranks_(folding.classes.size()) {
    find_private_links();
    for (std::size_t link = 0; link < flow_link_.size(); ++link) {
        if (folding.link_representative[link] != link) continue;
        flow_link_[link] = flows_.add_link(BytesPerSecond(input.network->capacity[link])).index;
    }
    for (std::uint32_t rank = 0; rank < input.ranks.size(); ++rank) {
        const std::uint32_t c = folding.class_of[rank];
        ranks_[c].push_back(rank);
        auto& groups = groups_[folding.classes[c].group[kExpert]];
        const std::uint32_t group = input.ranks[rank].group[kExpert];
        if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    }
}

// A group runs one collective at a time, so its patterns never meet.
void SharedLinks::find_private_links() {
    const SharedNetwork& network = *input_.network;
    constexpr std::size_t kNobody = SIZE_MAX;
    std::vector<std::size_t> owner(network.capacity.size(), kNobody);
    private_.assign(network.capacity.size(), true);
    for (const LinkPattern& pattern : network.group_patterns) {
        for (std::size_t group = 0; group < pattern.owners(); ++group) {
            for (const LinkShare& share : pattern.of(group)) {
                std::size_t& only = owner[share.link];
                if (only != kNobody && only != group) private_[share.link] = false;
                only = group;
            }
        }
    }
    for (const LinkPattern& pattern : network.message_patterns) {
        for (std::size_t rank = 0; rank < pattern.owners(); ++rank) {
            for (const LinkShare& share : pattern.of(rank)) private_[share.link] = false;
        }
    }
}

// Loads of all owners of a class on the links that stand for theirs.
template <class Owners>
SharedLinks::Route SharedLinks::route(const LinkPattern& pattern, const Owners& owners) const {
    std::map<std::uint32_t, std::int64_t> units;
    Route route;
    for (const std::uint32_t owner : owners) {
        for (const LinkShare& share : pattern.of(owner)) {
            const std::uint32_t link = flow_link_[share.link];
            if (link == kNotRepresentative) continue;
            if (!private_[share.link]) {
                units[link] += share.units;
                continue;
            }
            const double most =
                input_.network->capacity[share.link] * kUnits / static_cast<double>(share.units);
            route.cap = route.cap == 0 ? most : std::min(route.cap, most);
        }
    }
    for (const auto& [link, sum] : units) {
        route.hops.push_back({LinkId{link}, static_cast<double>(sum) / kUnits});
    }
    return route;
}

void SharedLinks::start(const Route& route, const SharedTransfer& transfer,
                        std::int64_t duration_ps, std::uint64_t tag, SimTime now) {
    const double moving =
        static_cast<double>(std::max<std::int64_t>(1, duration_ps - transfer.latency_ps)) * 1e-12;
    double cap = transfer.bytes / moving;
    if (route.cap > 0) cap = std::min(cap, route.cap);
    flows_.start({.route = route.hops,
                  .bytes = Bytes(transfer.bytes),
                  .latency = SimDuration{transfer.latency_ps},
                  .weight = transfer.weight,
                  .cap = BytesPerSecond(cap),
                  .tag = tag},
                 now);
}

void SharedLinks::start_collective(const CollectiveSpec& spec, std::uint32_t group_class,
                                   std::uint64_t tag, SimTime now) {
    const auto [it, added] = group_routes_.try_emplace({spec.shared.pattern, group_class});
    if (added) {
        it->second =
            route(input_.network->group_patterns[spec.shared.pattern], groups_[group_class]);
    }
    start(it->second, spec.shared, spec.duration_ps, tag, now);
}

void SharedLinks::start_message(const MessageSpec& message, std::uint32_t rank_class,
                                std::uint64_t tag, SimTime now) {
    const auto [it, added] = message_routes_.try_emplace({message.shared.pattern, rank_class});
    if (added) {
        it->second =
            route(input_.network->message_patterns[message.shared.pattern], ranks_[rank_class]);
    }
    start(it->second, message.shared, message.duration_ps, tag, now);
}

}  // namespace orrery
