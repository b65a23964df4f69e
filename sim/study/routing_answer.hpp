#pragma once
// What `orrery routing` asks and gets: where the tokens of a MoE layer go, what bias updates and
// EPLB make of it, and what moving experts costs.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/expert_traffic.hpp"
#include "model/eplb.hpp"
#include "model/routing.hpp"

namespace orrery {

struct RoutingQuestion {
    RoutingSpec spec;                            // without weights and bias
    std::optional<std::filesystem::path> model;  // its first MoE layer's gate and expert size
    std::optional<std::filesystem::path> loads;  // expert loads, a row a layer
    std::int64_t load_layer = 0;                 // row of that file
    RoutingGroup group;                          // without placement
    std::int64_t layer = 0, micro_batch = 0;
    std::int64_t bias_steps = 0, bias_sequences = 4;  // updates before the draw
    double gamma = 0.001;
    std::int32_t replicas = 0;  // expert slots that EPLB fills; 0: no EPLB
    std::string cluster = "h800_ib_2048";
};

// How evenly one micro-batch falls on experts, GPUs and nodes: largest over mean.
struct Imbalance {
    double experts = 1, gpus = 1, nodes = 1;
};

struct EplbResult {
    bool hierarchical = false;
    ExpertPlacement placement;
    double before = 1, after = 1;  // largest over mean GPU load, of the loads it was given
    Imbalance next;                // of the next micro-batch, drawn anew and placed so
    double next_unplaced = 1;      // GPUs of that micro-batch without EPLB
    RebalanceCost cost;            // from experts in order to this placement
    Bytes expert;                  // of one expert's weights
    Seconds time;                  // over the links, nothing else on them
    Origin origin = Origin::assumed;
};

struct RoutingAnswer {
    RoutingSpec spec;  // with weights and bias
    std::string model, affinities;
    Origin origin = Origin::assumed;  // of the affinities
    ExpertTraffic traffic;
    std::vector<double> expert_loads;  // tokens of each expert
    Imbalance imbalance;
    // Exact where it is known: uniform affinities, groups on nodes compared by their largest.
    std::optional<double> expected_nodes;
    std::vector<double> bias_imbalance;  // of each step, before its update
    std::optional<EplbResult> eplb;
};

// Throws InputError: an impossible gate, group or placement, a model without experts, a wrong file.
RoutingAnswer answer_routing(const RoutingQuestion& question,
                             const std::filesystem::path& profiles);

}  // namespace orrery
