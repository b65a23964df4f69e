// All-to-alls of 1 MB a pair over 50 GB/s hosts on a crossbar, and a random permutation on a 2:1
// fat tree; SimGrid beside them where the build found it, at sizes that it does in seconds. Each
// case runs in a process of its own: CPU seconds and peak memory are of that case alone. The aims
// are 1/20 of SimGrid 3.32's and ASTRA-sim's CPU seconds on two cores (512 hosts at once 349 s,
// shifted 0.80 s; 128 hosts unequal 44.9 s; 1,024 hosts at once 12.8 s and 948 MiB in ASTRA-sim),
// 1/3 on the fat tree (0.045 s), 1/4 of the memory.
//
// Why "unequal" grows as n^4: each of n (n-1) flows ends at a time of its own, and as every pair of
// links shares a flow, each end moves the levels of all links above it, n^2 terms to add up again.
// All of them change by about 1/n^2, so none can be left for later within 1e-6.

#include <cmath>
#include <numeric>

#include "child.hpp"
#include "collective/flow_collective.hpp"
#include "core/random.hpp"
#include "network/topology_builders.hpp"
#include "perf.hpp"
#include "simgrid_twin.hpp"

namespace orrery::perf {
namespace {

constexpr double kMessage = 1e6;  // bytes a pair

Topology hosts(std::uint32_t n) {
    Topology topology{.name = "perf", .nodes = {}, .links = {}, .endpoints = {}};
    for (std::uint32_t i = 0; i < n; ++i) topology.add_endpoint(std::to_string(i));
    return topology;
}

double all_to_all(std::uint32_t n, AllToAllPattern pattern) {
    Topology topology = hosts(n);
    const auto all = topology.endpoints;
    add_crossbar(topology, all, {.endpoint_latency = Seconds(0.5e-6)});
    RoutedNetwork network(std::move(topology));
    const FlowCollectiveRequest request{
        .ranks = n, .bytes = Bytes(kMessage * (n - 1)), .pattern = pattern};
    return to_seconds(run_collective(network, request).time).value();
}

// The sizes that run_collective draws, for the twin.
std::vector<double> sizes(std::uint32_t n, AllToAllPattern pattern) {
    std::vector<double> result(std::size_t{n} * (n - 1), kMessage);
    for (std::uint32_t i = 0; pattern == AllToAllPattern::unequal && i < n; ++i) {
        const auto row = result.begin() + std::ptrdiff_t{i} * (n - 1);
        for (std::uint32_t r = 1; r < n; ++r) row[r - 1] = unequal_share(1, n, i, (i + r) % n);
        const double sum = std::accumulate(row, row + (n - 1), 0.0);
        for (std::uint32_t r = 1; r < n; ++r) {
            row[r - 1] = std::round(kMessage * (n - 1) * (row[r - 1] / sum));
        }
    }
    return result;
}
double twin_all_to_all(std::uint32_t n, AllToAllPattern pattern) {
    const TwinPattern twin =
        pattern == AllToAllPattern::shifted ? TwinPattern::shifted : TwinPattern::simultaneous;
    return simgrid_all_to_all(n, twin, sizes(n, pattern));
}

// 32 leaves of 32 hosts and 16 cables up: 2:1. Host i sends 64 MB to a random other one.
struct Permutation {
    Permutation() : network(build()) {
        std::vector<std::uint32_t> to(kHosts);
        std::iota(to.begin(), to.end(), 0u);
        for (std::uint32_t i = kHosts - 1; i > 0; --i) {
            std::swap(to[i], to[counter_hash(7, 1, i) % (i + 1)]);
        }
        for (std::uint32_t i = 0; i < kHosts; ++i) {
            if (to[i] != i) pairs.emplace_back(i, to[i]);
        }
    }
    static RoutedNetwork build() {
        Topology topology = hosts(kHosts);
        const auto all = topology.endpoints;
        add_fat_tree(topology, all, {.ports = 48, .oversubscription = 2},
                     {.endpoint_latency = Seconds(0.5e-6), .switch_latency = Seconds(0.5e-6)});
        return RoutedNetwork(std::move(topology));
    }
    double run() {
        for (const auto& [i, j] : pairs) {
            network.start({.source = i, .destination = j, .bytes = Bytes(64e6)}, SimTime{});
        }
        while (const auto next = network.next_completion()) network.advance_to(*next);
        return to_seconds(network.now()).value();
    }
    double twin() {
        std::vector<double> capacities;
        for (std::uint32_t l = 0; l < network.flows().links(); ++l) {
            capacities.push_back(network.flows().capacity({l}).value());
        }
        std::vector<TwinRoute> routes;
        for (const auto& [i, j] : pairs) {
            TwinRoute route{.links = {}, .bytes = 64e6};
            for (const RouteHop& hop : network.path(i, j).hops)
                route.links.push_back(hop.link.index);
            routes.push_back(route);
        }
        return simgrid_flows(capacities, 0.5e-6, routes);
    }
    static constexpr std::uint32_t kHosts = 1024;
    RoutedNetwork network;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
};

using Work = std::function<double()>;
Prepare cpu(Work work) {
    return [work]() -> Repetition { return [work] { return measure_in_child(work).cpu_seconds; }; };
}
Prepare memory(Work work) {
    return [work]() -> Repetition { return [work] { return measure_in_child(work).peak_bytes; }; };
}
// How much the two makespans differ, in relation.
Prepare difference(Work a, Work b) {
    return [a, b]() -> Repetition {
        return [a, b] {
            const double other = measure_in_child(b).result;
            return std::abs(measure_in_child(a).result - other) / other;
        };
    };
}
// Exponent of the CPU time's growth between two sizes.
Prepare exponent(AllToAllPattern pattern, std::uint32_t small, std::uint32_t large) {
    return [=]() -> Repetition {
        return [=] {
            const auto time = [&](std::uint32_t n) {
                return measure_in_child([=] { return all_to_all(n, pattern); }).cpu_seconds;
            };
            return std::log(time(large) / time(small)) / std::log(double{1} * large / small);
        };
    };
}

struct Case {
    const char* name;
    AllToAllPattern pattern;
    std::uint32_t hosts;
    std::optional<double> aim;
    bool with_twin;
};

Benchmark of(const Case& c) {
    Benchmark benchmark{.name = std::string("all-to-all ") + c.name + ", " +
                                std::to_string(c.hosts) + " hosts, CPU",
                        .unit = "s",
                        .subject = cpu([c] { return all_to_all(c.hosts, c.pattern); }),
                        .aim = c.aim,
                        .figure = Figure::amount,
                        .repetitions = 1};
    if (c.with_twin && has_simgrid()) {
        benchmark.twin = cpu([c] { return twin_all_to_all(c.hosts, c.pattern); });
        benchmark.twin_name = "SimGrid";
        benchmark.aim_ratio = 20;
    }
    return benchmark;
}

constexpr auto kAtOnce = AllToAllPattern::simultaneous;
constexpr auto kShifted = AllToAllPattern::shifted;
constexpr auto kUnequal = AllToAllPattern::unequal;

const Register once64(of({"at once", kAtOnce, 64, {}, true}));
const Register once128(of({"at once", kAtOnce, 128, {}, true}));
const Register once512(of({"at once", kAtOnce, 512, 349.0 / 20, false}));
const Register once1024(of({"at once", kAtOnce, 1024, 12.8 / 20, false}));
const Register shifted128(of({"shifted", kShifted, 128, {}, true}));
const Register shifted512(of({"shifted", kShifted, 512, 0.80 / 20, true}));
const Register shifted1024(of({"shifted", kShifted, 1024, {}, false}));
const Register unequal64(of({"unequal", kUnequal, 64, {}, true}));
const Register unequal128(of({"unequal", kUnequal, 128, 44.9 / 20, false}));

const Register growth_once({.name = "all-to-all at once, 256 to 1,024 hosts, exponent of CPU time",
                            .subject = exponent(kAtOnce, 256, 1024),
                            .figure = Figure::amount,
                            .repetitions = 1});
const Register growth_shifted({.name = "all-to-all shifted, 256 to 1,024 hosts, exponent",
                               .subject = exponent(kShifted, 256, 1024),
                               .figure = Figure::amount,
                               .repetitions = 1});
const Register growth_unequal({.name = "all-to-all unequal, 64 to 128 hosts, exponent",
                               .subject = exponent(kUnequal, 64, 128),
                               .figure = Figure::amount,
                               .repetitions = 1});
const Register memory1024({.name = "all-to-all at once, 1,024 hosts, memory",
                           .unit = "B",
                           .subject = memory([] { return all_to_all(1024, kAtOnce); }),
                           .aim = 948.0 * 1048576 / 4,
                           .figure = Figure::amount,
                           .repetitions = 1});

Benchmark fat_tree() {
    Benchmark benchmark{.name = "permutation of 64 MB, 1,024 hosts, 2:1 fat tree, CPU",
                        .unit = "s",
                        .subject = cpu([] { return Permutation().run(); }),
                        .aim = 0.045 / 3,
                        .figure = Figure::amount,
                        .repetitions = 3};
    if (has_simgrid()) {
        benchmark.twin = cpu([] { return Permutation().twin(); });
        benchmark.twin_name = "SimGrid";
        benchmark.aim_ratio = 3;
    }
    return benchmark;
}
const Register permutation(fat_tree());

void add_difference(const char* name, Work ours, Work twin) {
    if (!has_simgrid()) return;
    Register({.name = std::string("difference from SimGrid's makespan, ") + name,
              .subject = difference(std::move(ours), std::move(twin)),
              .aim = 1e-3,
              .figure = Figure::amount,
              .repetitions = 1});
}
const bool differences = [] {
    for (const auto& [name, pattern] :
         {std::pair("at once", kAtOnce), {"shifted", kShifted}, {"unequal", kUnequal}}) {
        add_difference(
            name, [pattern = pattern] { return all_to_all(64, pattern); },
            [pattern = pattern] { return twin_all_to_all(64, pattern); });
    }
    add_difference(
        "permutation", [] { return Permutation().run(); }, [] { return Permutation().twin(); });
    return true;
}();

}  // namespace
}  // namespace orrery::perf
