#pragma once
// Auxiliary-loss-free balancing: after each step every expert's bias moves by gamma against its
// load error,
//     b[e] += gamma sign(mean load - load[e])
// (DeepSeek-V3 report, arXiv:2412.19437v1 sec. 2.1.2; gamma 0.001 for the first 14.3T tokens, then
// 0, sec. 4.2). Left out: its sequence-wise auxiliary loss (alpha 1e-4) and that experts learn.

#include <cstdint>
#include <vector>

#include "model/routing.hpp"

namespace orrery {

// One update in place; an expert at the mean keeps its bias.
void update_bias(std::vector<double>& bias, const std::vector<double>& loads, double gamma);

struct BiasRun {
    std::vector<double> bias;       // after the last step
    std::vector<double> imbalance;  // largest over mean expert load of each step, before its update
};

// `steps` updates on drawn loads of `sequences` sequences of `tokens` tokens each step (sequence i
// of step s is micro-batch s, rank i of `layer`). Throws InputError as route().
BiasRun run_bias(const RoutingSpec& spec, std::int64_t layer, std::int64_t steps,
                 std::int64_t sequences, std::int64_t tokens, double gamma);

// Weights (odds) under which the gate's expected loads are `loads`, for RoutingSpec::weights: found
// by repeated proportional correction on drawn tokens. `loads` are in any unit. Throws InputError:
// a negative load, all zero, fewer loaded experts than top_k, or an expert that would be chosen by
// more than every token.
std::vector<double> weights_for_loads(const RoutingSpec& spec, const std::vector<double>& loads);

}  // namespace orrery
