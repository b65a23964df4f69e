#pragma once
// Routing of one micro-batch through one MoE layer: every rank of an expert-parallel group draws
// (or is given) the experts of its tokens; counted as traffic between ranks and rows on each.

#include <cstdint>
#include <optional>
#include <vector>

#include "hardware/expert_traffic.hpp"
#include "model/affinity.hpp"
#include "model/expert_placement.hpp"
#include "model/routing_gate.hpp"

namespace orrery {

// drawn: the gate on synthetic affinities. balanced: every expert gets the same number of tokens,
// every token reaches top_k_groups groups and, as far as there are as many, top_k ranks.
enum class RoutingKind : std::uint8_t { drawn, balanced };

struct RoutingSpec {
    RoutingKind kind = RoutingKind::drawn;
    GateSpec gate = {};
    AffinitySpec affinity = {};
    // exp of each expert's log-odds, e.g. of weights_for_loads(); empty: from affinity.skew.
    std::vector<double> weights = {};
    std::vector<double> bias = {};  // correction bias of each expert; empty: 0
};

struct RoutingGroup {
    std::int32_t ranks = 1, ranks_per_node = 1;
    std::int64_t tokens = 0;  // of each rank
    // Where the experts lie; nullopt: contiguous_placement.
    std::optional<ExpertPlacement> placement = {};
};

// Counts of one (layer, micro_batch). Throws InputError: a gate that cannot be, ranks that nodes or
// experts do not fit, a bias or weights of another number of experts.
ExpertTraffic route(const RoutingSpec& spec, const RoutingGroup& group, std::int64_t layer,
                    std::int64_t micro_batch);

// Tokens of each expert among `tokens` of one sequence, without ranks.
std::vector<double> draw_loads(const RoutingSpec& spec, const RoutingDraw& draw,
                               std::int64_t tokens);

// Expected distinct nodes of a token where all affinities are drawn alike, groups are nodes and
// compared by their largest score: E[min(top_k_groups, D)], D being the distinct nodes of top_k
// experts drawn without replacement from all. Exact, since in falling order of score the experts
// are a random permutation and the groups admitted are the first top_k_groups that show up.
double expected_nodes_of_best_groups(const GateSpec& gate);

}  // namespace orrery
