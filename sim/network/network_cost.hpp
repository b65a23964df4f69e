#pragma once
// What a fabric costs to buy: switches and cables, the Slim Fly paper's way.
//
//   switch of k ports in use    c0 + c1 k                         USD
//   cable of b Gb/s, x metres   b (e0 + e1 x) within a rack       electric
//                               b (o0 + o1 x) between racks       optical
//   x = Manhattan distance of the two racks + overhead. Endpoint i stands in rack i / n; racks
//   follow the Z-order curve over a square grid, so that neighbours by number are neighbours in the
//   room; a switch stands in the middle of what it joins.
//
// Left out: NICs, NVLink, power, installation.

#include <filesystem>

#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "network/topology.hpp"

namespace orrery {

struct NetworkPrices {
    double switch_base = 0, switch_port = 0;       // USD
    double electric_base = 0, electric_metre = 0;  // USD per Gb/s (and m)
    double optical_base = 0, optical_metre = 0;    // USD per Gb/s (and m)
    double rack_endpoints = 1, rack_m = 1, overhead_m = 0;
    Provenance switches, cables, placement;
};

// Reads prices/network.json of the profiles' directory. Throws InputError.
NetworkPrices load_network_prices(const std::filesystem::path& profiles);

struct NetworkCost {
    Dollars switches, endpoint_cables, switch_cables;
    double mean_length_m = 0;  // of the cables between switches
    Dollars total() const { return switches + endpoint_cables + switch_cables; }
};

// `cable_rate`: nominal, one way, of every cable.
NetworkCost network_cost(const Topology& topology, const NetworkPrices& prices,
                         BytesPerSecond cable_rate, std::int64_t switch_ports);

}  // namespace orrery
