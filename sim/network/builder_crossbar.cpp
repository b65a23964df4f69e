#include "network/topology_builders.hpp"

namespace orrery {

void add_crossbar(Topology& topology, Endpoints endpoints, const FabricCables& cables) {
    const std::uint32_t crossbar = topology.add_node({NodeKind::fabric, "crossbar", 1});
    for (const std::uint32_t endpoint : endpoints) {
        topology.add_link(endpoint, crossbar, cables.bandwidth, cables.endpoint_latency,
                          LinkClass::nic);
    }
}

}  // namespace orrery
