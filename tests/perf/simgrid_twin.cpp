#include "simgrid_twin.hpp"

#ifdef ORRERY_SIMGRID

#include <string>

#include <simgrid/s4u.hpp>

namespace orrery::perf {
namespace {

namespace s4u = simgrid::s4u;

void configure() {
    for (const char* option :
         {"network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:0",
          "network/weight-S:0", "network/bandwidth-factor:1", "network/latency-factor:1"}) {
        s4u::Engine::set_config(option);
    }
}

s4u::Engine& engine() {
    static int count = 3;
    static char name[] = "twin", quiet[] = "--log=root.thres:critical",
                stack[] = "--cfg=contexts/stack-size:64";
    static char* arguments[] = {name, quiet, stack, nullptr};
    static s4u::Engine instance(&count, arguments);
    return instance;
}

// Two hosts a flow, joined by its links.
std::vector<s4u::Host*> host_pairs(const std::vector<double>& capacities, double link_latency,
                                   const std::vector<TwinRoute>& flows) {
    auto* zone = s4u::create_full_zone("flows");
    std::vector<const s4u::Link*> links;
    for (std::size_t l = 0; l < capacities.size(); ++l) {
        links.push_back(zone->create_link("link" + std::to_string(l), capacities[l])
                            ->set_latency(link_latency)
                            ->seal());
    }
    std::vector<s4u::Host*> hosts;
    for (std::size_t f = 0; f < 2 * flows.size(); ++f) {
        hosts.push_back(zone->create_host("host" + std::to_string(f), 1e9));
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
        std::vector<s4u::LinkInRoute> route;
        for (const std::uint32_t link : flows[f].links) route.emplace_back(links[link]);
        zone->add_route(hosts[2 * f]->get_netpoint(), hosts[2 * f + 1]->get_netpoint(), nullptr,
                        nullptr, route, false);
    }
    zone->seal();
    return hosts;
}

}  // namespace

bool has_simgrid() { return true; }

double simgrid_all_to_all(std::uint32_t hosts, TwinPattern pattern,
                          const std::vector<double>& sizes) {
    s4u::Engine& simulation = engine();
    configure();
    auto* zone = s4u::create_star_zone("crossbar");
    std::vector<s4u::Host*> all;
    for (std::uint32_t i = 0; i < hosts; ++i) {
        const std::string name = "host" + std::to_string(i);
        auto* host = zone->create_host(name, 1e9);
        const auto* up = zone->create_link(name + "_up", 50e9)->set_latency(0.5e-6)->seal();
        const auto* down = zone->create_link(name + "_down", 50e9)->set_latency(0.5e-6)->seal();
        zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr, {s4u::LinkInRoute(up)},
                        false);
        zone->add_route(nullptr, host->get_netpoint(), nullptr, nullptr, {s4u::LinkInRoute(down)},
                        false);
        all.push_back(host);
    }
    zone->seal();
    const auto size = [&](std::uint32_t i, std::uint32_t r) {
        return static_cast<std::uint64_t>(sizes[std::size_t{i} * (hosts - 1) + r - 1]);
    };
    if (pattern == TwinPattern::shifted) {
        for (std::uint32_t i = 0; i < hosts; ++i) {
            s4u::Actor::create("sender" + std::to_string(i), all[i], [&all, i, hosts, size] {
                for (std::uint32_t r = 1; r < hosts; ++r) {
                    s4u::Comm::sendto(all[i], all[(i + r) % hosts], size(i, r));
                }
            });
        }
    } else {
        s4u::Actor::create("all", all[0], [&all, hosts, size] {
            std::vector<s4u::CommPtr> messages;
            for (std::uint32_t i = 0; i < hosts; ++i) {
                for (std::uint32_t r = 1; r < hosts; ++r) {
                    messages.push_back(
                        s4u::Comm::sendto_async(all[i], all[(i + r) % hosts], size(i, r)));
                }
            }
            for (const auto& message : messages) message->wait();
        });
    }
    simulation.run();
    return s4u::Engine::get_clock();
}

double simgrid_flows(const std::vector<double>& capacities, double link_latency,
                     const std::vector<TwinRoute>& flows) {
    s4u::Engine& simulation = engine();
    configure();
    const std::vector<s4u::Host*> hosts = host_pairs(capacities, link_latency, flows);
    s4u::Actor::create("all", hosts[0], [&] {
        std::vector<s4u::CommPtr> messages;
        for (std::size_t f = 0; f < flows.size(); ++f) {
            messages.push_back(s4u::Comm::sendto_async(hosts[2 * f], hosts[2 * f + 1],
                                                       static_cast<std::uint64_t>(flows[f].bytes)));
        }
        for (const auto& message : messages) message->wait();
    });
    simulation.run();
    return s4u::Engine::get_clock();
}

std::vector<double> simgrid_ends(const std::vector<double>& capacities, double link_latency,
                                 const std::vector<TwinRoute>& flows) {
    s4u::Engine& simulation = engine();
    configure();
    const std::vector<s4u::Host*> hosts = host_pairs(capacities, link_latency, flows);
    std::vector<double> ends(flows.size());
    for (std::size_t f = 0; f < flows.size(); ++f) {
        s4u::Actor::create("sender" + std::to_string(f), hosts[2 * f], [&, f] {
            s4u::Comm::sendto(hosts[2 * f], hosts[2 * f + 1],
                              static_cast<std::uint64_t>(flows[f].bytes));
            ends[f] = s4u::Engine::get_clock();
        });
    }
    simulation.run();
    return ends;
}

}  // namespace orrery::perf

#else

namespace orrery::perf {

bool has_simgrid() { return false; }
double simgrid_all_to_all(std::uint32_t, TwinPattern, const std::vector<double>&) { return 0; }
double simgrid_flows(const std::vector<double>&, double, const std::vector<TwinRoute>&) {
    return 0;
}
std::vector<double> simgrid_ends(const std::vector<double>&, double,
                                 const std::vector<TwinRoute>&) {
    return {};
}

}  // namespace orrery::perf

#endif
