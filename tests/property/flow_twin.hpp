#pragma once
// The textbook's flow network, slow and obviously right: after every event all rates are found anew
// by progressive filling over dense matrices, in doubles.

#include <algorithm>
#include <limits>
#include <vector>

namespace orrery {

struct TwinFlow {
    std::vector<double> use;  // coefficient on each link, 0: not on its route
    double bytes = 0, start = 0, latency = 0, weight = 1;
    double cap = std::numeric_limits<double>::infinity();
    double left = 0, rate = 0, end = -1;
    bool is_active(double now) const { return end < 0 && start + latency <= now; }
};

// Sets the rate of every active flow.
inline void twin_share(const std::vector<double>& capacities, std::vector<TwinFlow>& flows,
                       double now) {
    std::vector<double> left = capacities;
    std::vector<bool> fixed(flows.size());
    for (std::size_t f = 0; f < flows.size(); ++f) fixed[f] = !flows[f].is_active(now);
    while (std::find(fixed.begin(), fixed.end(), false) != fixed.end()) {
        double level = std::numeric_limits<double>::infinity();
        std::vector<double> demand(left.size(), 0.0);
        for (std::size_t f = 0; f < flows.size(); ++f) {
            if (fixed[f]) continue;
            level = std::min(level, flows[f].cap / flows[f].weight);
            for (std::size_t l = 0; l < left.size(); ++l) {
                demand[l] += flows[f].weight * flows[f].use[l];
            }
        }
        for (std::size_t l = 0; l < left.size(); ++l) {
            if (demand[l] > 0) level = std::min(level, left[l] / demand[l]);
        }
        std::vector<bool> full(left.size());
        for (std::size_t l = 0; l < left.size(); ++l) {
            full[l] = demand[l] > 0 && left[l] / demand[l] <= level * (1 + 1e-12);
        }
        for (std::size_t f = 0; f < flows.size(); ++f) {
            if (fixed[f]) continue;
            bool held = flows[f].cap / flows[f].weight <= level * (1 + 1e-12);
            for (std::size_t l = 0; l < left.size(); ++l) held |= full[l] && flows[f].use[l] > 0;
            if (!held) continue;
            fixed[f] = true;
            flows[f].rate = level * flows[f].weight;
            for (std::size_t l = 0; l < left.size(); ++l) {
                left[l] -= flows[f].rate * flows[f].use[l];
            }
        }
    }
}

// Runs all flows to their end.
inline void twin_run(const std::vector<double>& capacities, std::vector<TwinFlow>& flows) {
    for (TwinFlow& flow : flows) flow.left = flow.bytes;
    double now = 0;
    while (true) {
        twin_share(capacities, flows, now);
        double next = std::numeric_limits<double>::infinity();
        for (const TwinFlow& flow : flows) {
            if (flow.end >= 0) continue;
            next = std::min(next, flow.is_active(now) ? now + flow.left / flow.rate
                                                      : flow.start + flow.latency);
        }
        if (next == std::numeric_limits<double>::infinity()) return;
        for (TwinFlow& flow : flows) {
            if (!flow.is_active(now)) continue;
            flow.left -= flow.rate * (next - now);
            if (flow.left <= 1e-9 * flow.bytes) flow.end = next;
        }
        now = next;
    }
}

}  // namespace orrery
