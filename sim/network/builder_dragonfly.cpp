// Dragonfly (Kim, Dally, Scott, Abts, ISCA 2008): g groups of a switches. Within a group all are
// joined; a group's a h cables outward go to the groups at distance 1, 2, 3, ... in both
// directions, and again from 1 where there are more cables than groups.

#include <fmt/format.h>

#include "core/error.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

void join_groups(Topology& topology, const Dragonfly& d, const FabricCables& cables,
                 std::uint32_t first) {
    std::vector<std::int64_t> used(static_cast<std::size_t>(d.groups), 0);
    const auto port = [&](std::int64_t group) {
        const std::int64_t own = used[static_cast<std::size_t>(group)]++ / d.h;
        return first + static_cast<std::uint32_t>(group * d.a + own);
    };
    std::int64_t left = d.a * d.h;
    while (left > 0 && d.groups > 1) {
        for (std::int64_t offset = 1; 2 * offset <= d.groups; ++offset) {
            const bool opposite = 2 * offset == d.groups;  // each pair once
            if (left < (opposite ? 1 : 2)) return;
            left -= opposite ? 1 : 2;
            for (std::int64_t group = 0; group < (opposite ? offset : d.groups); ++group) {
                const std::uint32_t a = port(group), b = port((group + offset) % d.groups);
                topology.add_link(a, b, cables.bandwidth, cables.switch_latency, LinkClass::fabric);
            }
        }
    }
}

}  // namespace

void add_dragonfly(Topology& topology, Endpoints endpoints, const Dragonfly& d,
                   const FabricCables& cables) {
    const std::int64_t most = d.p * d.a * d.groups;
    if (d.p < 1 || d.a < 1 || d.h < 1 || d.groups < 1 || d.groups > d.a * d.h + 1 ||
        static_cast<std::int64_t>(endpoints.size()) > most) {
        throw InputError(fmt::format(
            "topology {}: {} endpoints: a dragonfly of {} groups of {} switches with "
            "{} endpoints and {} global cables takes at most {} in at most {} groups",
            topology.name, endpoints.size(), d.groups, d.a, d.p, d.h, most, d.a * d.h + 1));
    }
    const auto first = static_cast<std::uint32_t>(topology.nodes.size());
    for (std::int64_t i = 0; i < d.groups * d.a; ++i) {
        topology.add_node({NodeKind::fabric, fmt::format("group{}.switch{}", i / d.a, i % d.a), 1,
                           static_cast<std::int32_t>(i / d.a)});
    }
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const auto to = first + static_cast<std::uint32_t>(static_cast<std::int64_t>(i) / d.p);
        topology.add_link(endpoints[i], to, cables.bandwidth, cables.endpoint_latency,
                          LinkClass::nic);
    }
    for (std::int64_t group = 0; group < d.groups; ++group) {
        const auto base = first + static_cast<std::uint32_t>(group * d.a);
        for (std::uint32_t i = 0; i < d.a; ++i) {
            for (std::uint32_t j = i + 1; j < d.a; ++j) {
                topology.add_link(base + i, base + j, cables.bandwidth, cables.switch_latency,
                                  LinkClass::fabric);
            }
        }
    }
    join_groups(topology, d, cables, first);
}

}  // namespace orrery
