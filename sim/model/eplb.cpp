#include "model/eplb.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

void check(const EplbShape& s, std::int32_t experts) {
    const auto fail = [](const std::string& rule) { throw InputError("EPLB: " + rule); };
    if (s.gpus < 1 || s.nodes < 1 || s.groups < 1) fail("gpus, nodes, groups: must be at least 1");
    if (s.replicas < experts) {
        fail(fmt::format("{} replicas: must be at least the {} experts", s.replicas, experts));
    }
    if (s.replicas % s.gpus != 0 || s.gpus % s.nodes != 0) {
        fail(fmt::format("{} replicas on {} GPUs of {} nodes: must divide evenly", s.replicas,
                         s.gpus, s.nodes));
    }
    if (s.hierarchical() && experts % s.groups != 0) {
        fail(fmt::format("{} experts in {} groups: must divide evenly", experts, s.groups));
    }
}

// Experts in the order that groups take on nodes: packed, each group's experts in order.
std::vector<std::int32_t> group_order(const std::vector<double>& loads, std::int32_t groups,
                                      std::int32_t nodes) {
    const std::size_t size = loads.size() / index(groups);
    std::vector<double> weights(index(groups), 0);
    for (std::size_t e = 0; e < loads.size(); ++e) weights[e / size] += loads[e];
    const Packing packed = pack_balanced(weights, nodes);
    std::vector<std::int32_t> order(loads.size());
    for (std::size_t e = 0; e < loads.size(); ++e) {
        const std::size_t g = e / size;
        const std::size_t place = index(packed.pack[g] * (groups / nodes) + packed.position[g]);
        order[place * size + e % size] = static_cast<std::int32_t>(e);
    }
    return order;
}

}  // namespace

Packing pack_balanced(const std::vector<double>& weights, std::int32_t packs) {
    const auto items = static_cast<std::int32_t>(weights.size());
    if (packs < 1 || items % packs != 0) {
        throw InputError(fmt::format("{} items in {} packs: must divide evenly", items, packs));
    }
    const std::int32_t room = items / packs;
    Packing result{std::vector<std::int32_t>(weights.size()),
                   std::vector<std::int32_t>(weights.size(), 0)};
    if (room == 1) {
        std::iota(result.pack.begin(), result.pack.end(), 0);
        return result;
    }
    std::vector<std::int32_t> order(weights.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return weights[index(a)] > weights[index(b)];
    });
    std::vector<double> load(index(packs), 0);
    std::vector<std::int32_t> held(index(packs), 0);
    for (const std::int32_t item : order) {
        std::int32_t lightest = -1;
        for (std::int32_t p = 0; p < packs; ++p) {
            if (held[index(p)] == room) continue;
            if (lightest < 0 || load[index(p)] < load[index(lightest)]) lightest = p;
        }
        result.pack[index(item)] = lightest;
        result.position[index(item)] = held[index(lightest)]++;
        load[index(lightest)] += weights[index(item)];
    }
    return result;
}

Replication replicate(const std::vector<double>& loads, std::int32_t replicas) {
    const auto experts = static_cast<std::int32_t>(loads.size());
    if (replicas < experts) {
        throw InputError(
            fmt::format("{} replicas: must be at least the {} experts", replicas, experts));
    }
    Replication result{std::vector<std::int32_t>(loads.size()),
                       std::vector<std::int32_t>(loads.size(), 1)};
    std::iota(result.expert.begin(), result.expert.end(), 0);
    while (static_cast<std::int32_t>(result.expert.size()) < replicas) {
        std::size_t most = 0;
        for (std::size_t e = 1; e < loads.size(); ++e) {
            if (loads[e] / result.count[e] > loads[most] / result.count[most]) most = e;
        }
        result.expert.push_back(static_cast<std::int32_t>(most));
        ++result.count[most];
    }
    return result;
}

ExpertPlacement rebalance_experts(const std::vector<double>& loads, const EplbShape& shape) {
    const auto experts = static_cast<std::int32_t>(loads.size());
    check(shape, experts);
    const std::int32_t nodes = shape.hierarchical() ? shape.nodes : 1;
    const auto order = group_order(loads, shape.hierarchical() ? shape.groups : 1, nodes);
    const std::size_t node_experts = loads.size() / index(nodes);
    const std::int32_t node_slots = shape.replicas / nodes, node_gpus = shape.gpus / nodes;
    const std::int32_t gpu_slots = shape.replicas / shape.gpus;
    std::vector<std::int32_t> slot_expert(index(shape.replicas));
    for (std::int32_t node = 0; node < nodes; ++node) {
        const auto first = order.begin() + static_cast<std::ptrdiff_t>(index(node) * node_experts);
        std::vector<double> node_loads;
        for (std::size_t i = 0; i < node_experts; ++i) {
            node_loads.push_back(loads[index(first[static_cast<std::ptrdiff_t>(i)])]);
        }
        const Replication copies = replicate(node_loads, node_slots);
        std::vector<double> weights;
        for (const std::int32_t e : copies.expert) {
            weights.push_back(node_loads[index(e)] / copies.count[index(e)]);
        }
        const Packing packed = pack_balanced(weights, node_gpus);
        for (std::size_t i = 0; i < copies.expert.size(); ++i) {
            const std::int32_t slot =
                node * node_slots + packed.pack[i] * gpu_slots + packed.position[i];
            slot_expert[index(slot)] = first[copies.expert[i]];
        }
    }
    return make_placement(experts, shape.gpus, std::move(slot_expert));
}

}  // namespace orrery
