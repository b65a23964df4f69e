// Networks known by name. ft2, mpft, ft3, slim_fly and dragonfly have the sizes of Table 3 of
// "Insights into DeepSeek-V3" (arXiv:2505.09343v2): 64 ports of 400 Gb/s.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.hpp"
#include "network/topology_builders.hpp"

namespace orrery {
namespace {

Topology with_endpoints(const std::string& name, std::int64_t endpoints) {
    Topology topology{.name = name, .nodes = {}, .links = {}, .endpoints = {}};
    for (std::int64_t i = 0; i < endpoints; ++i) topology.add_endpoint(fmt::format("host{}", i));
    return topology;
}

Topology rack(const std::string& name, std::int64_t gpus, std::int32_t chips, double bandwidth) {
    Topology topology = with_endpoints(name, gpus);
    const auto endpoints = topology.endpoints;
    add_nvlink_switch(topology, endpoints, 0, chips, BytesPerSecond(bandwidth), Seconds(0));
    return topology;
}

}  // namespace

std::vector<std::string> topology_names() {
    return {"ft2", "mpft", "ft3", "slim_fly", "dragonfly", "crossbar", "nvswitch", "nvl72"};
}

Topology named_topology(const std::string& name) {
    const auto build = [&](std::int64_t endpoints, auto add) {
        Topology topology = with_endpoints(name, endpoints);
        const auto all = topology.endpoints;
        add(topology, all);
        return topology;
    };
    if (name == "ft2") {
        return build(2048, [](auto& t, auto& e) { add_fat_tree(t, e, {}, {}); });
    }
    if (name == "mpft") {
        return build(16'384, [](auto& t, auto& e) { add_multi_plane(t, e, 8, {}, {}); });
    }
    if (name == "ft3") {
        return build(65'536, [](auto& t, auto& e) { add_fat_tree(t, e, {.layers = 3}, {}); });
    }
    if (name == "slim_fly") {
        return build(slim_fly_endpoints(28), [](auto& t, auto& e) { add_slim_fly(t, e, 28, {}); });
    }
    if (name == "dragonfly") {
        return build(261'632, [](auto& t, auto& e) { add_dragonfly(t, e, {}, {}); });
    }
    if (name == "crossbar") {
        return build(1024, [](auto& t, auto& e) { add_crossbar(t, e, {}); });
    }
    // DGX H100: 4 NVSwitches, 18 NVLink 4 a GPU. GB200 NVL72: 9 trays of 2 chips, 18 NVLink 5.
    if (name == "nvswitch") return rack(name, 8, 4, 450e9);
    if (name == "nvl72") return rack(name, 72, 18, 900e9);
    throw InputError(
        fmt::format("topology {}: must be one of: {}", name, fmt::join(topology_names(), ", ")));
}

}  // namespace orrery
