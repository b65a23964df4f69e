#include "network/network_cost.hpp"

#include <cmath>
#include <optional>

#include "hardware/data_table.hpp"

namespace orrery {
namespace {

struct Place {
    double x = 0, y = 0;  // racks
};

// Rack number to grid: even bits are x, odd bits y.
Place z_order(std::uint64_t rack) {
    Place place;
    for (int bit = 0; bit < 32; ++bit) {
        place.x += static_cast<double>(rack >> (2 * bit) & 1) * std::exp2(bit);
        place.y += static_cast<double>(rack >> (2 * bit + 1) & 1) * std::exp2(bit);
    }
    return place;
}

// Endpoints by rank, then every switch in the middle of its placed neighbours, outwards.
std::vector<std::optional<Place>> placement(const Topology& topology, double per_rack) {
    std::vector<std::optional<Place>> places(topology.nodes.size());
    for (std::size_t i = 0; i < topology.endpoints.size(); ++i) {
        places[topology.endpoints[i]] =
            z_order(static_cast<std::uint64_t>(static_cast<double>(i) / per_rack));
    }
    for (bool placed_one = true; placed_one;) {
        placed_one = false;
        std::vector<Place> sum(topology.nodes.size());
        std::vector<double> count(topology.nodes.size());
        for (const TopologyLink& link : topology.links) {
            for (const auto& [from, to] : {std::pair(link.a, link.b), std::pair(link.b, link.a)}) {
                if (!places[from] || places[to]) continue;
                sum[to].x += places[from]->x;
                sum[to].y += places[from]->y;
                ++count[to];
            }
        }
        for (std::size_t i = 0; i < places.size(); ++i) {
            if (places[i] || count[i] == 0) continue;
            places[i] = {std::round(sum[i].x / count[i]), std::round(sum[i].y / count[i])};
            placed_one = true;
        }
    }
    return places;
}

DataTable table_at(const ConfigNode& root, const char* key) {
    return read_data_table(root.at(key), key);
}

}  // namespace

NetworkPrices load_network_prices(const std::filesystem::path& profiles) {
    const ConfigNode root = ConfigNode::load(profiles / "prices" / "network.json");
    root.at("title").as_string();
    const DataTable switches = table_at(root, "switch"), cables = table_at(root, "cable"),
                    placing = table_at(root, "placement");
    root.reject_unknown_keys();
    if (switches.rows() != 1 || placing.rows() != 1) root.fail("must have one row a table");
    NetworkPrices prices;
    prices.switch_base = switches.numbers[0][switches.column("base_USD")];
    prices.switch_port = switches.numbers[0][switches.column("per_port_USD")];
    for (std::size_t row = 0; row < cables.rows(); ++row) {
        const double base = cables.numbers[row][cables.column("base_USD")];
        const double metre = cables.numbers[row][cables.column("per_metre_USD")];
        const bool electric = cables.texts[row][cables.column("kind")] == "electric";
        (electric ? prices.electric_base : prices.optical_base) = base;
        (electric ? prices.electric_metre : prices.optical_metre) = metre;
    }
    prices.rack_endpoints = placing.numbers[0][placing.column("endpoints_per_rack")];
    prices.rack_m = placing.numbers[0][placing.column("rack_m")];
    prices.overhead_m = placing.numbers[0][placing.column("overhead_m")];
    if (!(prices.rack_endpoints >= 1)) root.at("placement").fail("endpoints_per_rack must be >= 1");
    prices.switches = switches.from;
    prices.cables = cables.from;
    prices.placement = placing.from;
    return prices;
}

NetworkCost network_cost(const Topology& topology, const NetworkPrices& prices,
                         BytesPerSecond cable_rate, std::int64_t switch_ports) {
    const auto places = placement(topology, prices.rack_endpoints);
    const double gbps = cable_rate.value() * 8e-9;
    NetworkCost cost;
    for (const TopologyNode& node : topology.nodes) {
        if (node.kind != NodeKind::fabric) continue;
        cost.switches +=
            Dollars(prices.switch_base + prices.switch_port * static_cast<double>(switch_ports));
    }
    std::int64_t cables = 0;
    for (const TopologyLink& link : topology.links) {
        const bool nic = link.link_class == LinkClass::nic;
        if (!nic && link.link_class != LinkClass::fabric) continue;
        const Place a = places[link.a].value_or(Place{}), b = places[link.b].value_or(Place{});
        const double racks = std::abs(a.x - b.x) + std::abs(a.y - b.y);
        const double length = prices.rack_m * racks + prices.overhead_m;
        const double rate = racks > 0 ? prices.optical_base + prices.optical_metre * length
                                      : prices.electric_base + prices.electric_metre * length;
        (nic ? cost.endpoint_cables : cost.switch_cables) += Dollars(gbps * rate);
        if (nic) continue;
        ++cables;
        cost.mean_length_m += length;
    }
    if (cables > 0) cost.mean_length_m /= static_cast<double>(cables);
    return cost;
}

}  // namespace orrery
