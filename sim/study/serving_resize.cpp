// A serving scenario with another number of engines in its pools.
#include <stdexcept>

#include <fmt/format.h>

#include "core/config.hpp"
#include "study/serving_scenario.hpp"

namespace orrery {
namespace {

// The deployment's "pools" with these numbers of engines, JSON text.
std::string pools_with(const ConfigNode& deployment, const std::vector<std::int64_t>& engines) {
    std::string text = "[";
    std::size_t p = 0;
    for (ConfigNode pool : deployment.at("pools").elements()) {
        pool.set("engines", std::to_string(engines[p]));
        text += fmt::format("{}{}", p++ == 0 ? "" : ", ", pool.dump(-1));
    }
    return text + "]";
}

}  // namespace

void resize(ServingScenario& serving, const std::vector<std::int64_t>& engines) {
    std::vector<PoolSpec>& pools = serving.deployment.pools;
    if (engines.size() != pools.size()) throw std::logic_error("a number of engines for each pool");
    std::uint32_t rank = 0;
    std::int64_t gpus = 0;
    for (std::size_t p = 0; p < pools.size(); ++p) {
        pools[p].engines = serving.engines.pools[p].engines = engines[p];
        pools[p].first_rank = rank;
        gpus += engines[p] * pools[p].gpus_per_engine;
        rank = static_cast<std::uint32_t>(gpus);
    }
    connect_handoff(serving);
    const std::int64_t per_node = serving.gpus_per_node();
    ConfigNode used = ConfigNode::parse(serving.used, "used settings");
    used.set("deployment.pools", pools_with(used.at("deployment"), engines));
    used.set("cluster.nodes", std::to_string((gpus + per_node - 1) / per_node));
    serving.used = used.dump();
}

}  // namespace orrery
