#pragma once
// SimGrid on the same platforms, where the build found it (Debian: libsimgrid-dev); a comparison
// only. Model CM02 without cross-traffic, TCP window or correction factors: latency, then max-min.
// SimGrid allows one engine a process: run these in a child.

#include <cstdint>
#include <vector>

namespace orrery::perf {

enum class TwinPattern { simultaneous, shifted, unequal };

bool has_simgrid();
// Makespan in s of an all-to-all of n hosts on a crossbar: 50 GB/s each way, 1 us; `bytes(i, r)` of
// the message of host i to i + r mod n are given by `sizes`, row by row.
double simgrid_all_to_all(std::uint32_t hosts, TwinPattern pattern,
                          const std::vector<double>& sizes);
// Makespan of flows that start together, each over its own links.
struct TwinRoute {
    std::vector<std::uint32_t> links;
    double bytes = 0;
};
double simgrid_flows(const std::vector<double>& capacities, double link_latency,
                     const std::vector<TwinRoute>& flows);
// When each of them ends, s.
std::vector<double> simgrid_ends(const std::vector<double>& capacities, double link_latency,
                                 const std::vector<TwinRoute>& flows);

}  // namespace orrery::perf
