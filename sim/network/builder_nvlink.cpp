#include <fmt/format.h>

#include "network/topology_builders.hpp"

namespace orrery {

void add_nvlink_switch(Topology& topology, Endpoints endpoints, std::int32_t group,
                       std::int32_t chips, BytesPerSecond bandwidth, Seconds latency) {
    const std::uint32_t nvswitch =
        topology.add_node({NodeKind::nvlink, fmt::format("nvswitch{}", group), 1, group, chips});
    for (const std::uint32_t endpoint : endpoints) {
        topology.add_link(endpoint, nvswitch, bandwidth, latency, LinkClass::nvlink);
    }
}

}  // namespace orrery
