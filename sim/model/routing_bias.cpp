#include "model/routing_bias.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

// Share of the tokens that choose each expert; checked.
std::vector<double> shares_of(const GateSpec& gate, const std::vector<double>& loads) {
    if (loads.size() != static_cast<std::size_t>(gate.experts)) {
        throw InputError(
            fmt::format("loads: {} values given for {} experts", loads.size(), gate.experts));
    }
    const double total = sum(loads);
    std::vector<double> shares;
    std::int32_t loaded = 0;
    for (std::size_t e = 0; e < loads.size(); ++e) {
        if (!(loads[e] >= 0) || !std::isfinite(loads[e])) {
            throw InputError(fmt::format("loads: expert {} = {}: must be at least 0", e, loads[e]));
        }
        loaded += loads[e] > 0 ? 1 : 0;
        shares.push_back(total > 0 ? loads[e] / total * gate.top_k : 0);
        if (shares.back() > 1 + 1e-9) {
            throw InputError(fmt::format(
                "loads: expert {} has {:.1f} % of all: must be at most {:.1f} %, what a token's "
                "one choice of {} can give it",
                e, 100 * loads[e] / total, 100.0 / gate.top_k, gate.top_k));
        }
    }
    if (loaded < gate.top_k) {
        throw InputError(fmt::format("loads: {} experts have a load: must be at least {}, top_k",
                                     loaded, gate.top_k));
    }
    return shares;
}

}  // namespace

void update_bias(std::vector<double>& bias, const std::vector<double>& loads, double gamma) {
    const double mean = sum(loads) / static_cast<double>(loads.size());
    for (std::size_t e = 0; e < bias.size(); ++e) {
        if (loads[e] != mean) bias[e] += loads[e] < mean ? gamma : -gamma;
    }
}

BiasRun run_bias(const RoutingSpec& spec, std::int64_t layer, std::int64_t steps,
                 std::int64_t sequences, std::int64_t tokens, double gamma) {
    RoutingSpec now = spec;
    now.bias.resize(static_cast<std::size_t>(spec.gate.experts), 0.0);
    BiasRun run;
    for (std::int64_t step = 0; step < steps; ++step) {
        std::vector<double> loads(now.bias.size(), 0);
        for (std::int64_t i = 0; i < sequences; ++i) {
            const auto drawn = draw_loads(now, {layer, step, i}, tokens);
            std::transform(loads.begin(), loads.end(), drawn.begin(), loads.begin(), std::plus<>());
        }
        run.imbalance.push_back(largest_over_mean(loads));
        update_bias(now.bias, loads, gamma);
    }
    run.bias = std::move(now.bias);
    return run;
}

std::vector<double> weights_for_loads(const RoutingSpec& spec, const std::vector<double>& loads) {
    const std::vector<double> shares = shares_of(spec.gate, loads);
    RoutingSpec trial = spec;
    trial.kind = RoutingKind::drawn;
    trial.affinity.sequence_skew = 0;
    trial.bias.clear();
    trial.weights = shares;
    // Few tokens far from the answer, many and smaller steps near it; other tokens each time.
    for (std::int64_t round = 0; round < 30; ++round) {
        const std::int64_t tokens = round < 20 ? 8192 : 32768;
        const double step = round < 20 ? 1.0 : 1.0 / static_cast<double>(round - 18);
        const auto drawn = draw_loads(trial, {-1, round, 0}, tokens);
        for (std::size_t e = 0; e < shares.size(); ++e) {
            if (shares[e] == 0) continue;
            const double seen = (drawn[e] + 0.5) / (static_cast<double>(tokens) + 0.5);
            trial.weights[e] *= std::pow(shares[e] / seen, step);
            trial.weights[e] = std::clamp(trial.weights[e], 1e-12, 1e12);
        }
    }
    return trial.weights;
}

}  // namespace orrery
