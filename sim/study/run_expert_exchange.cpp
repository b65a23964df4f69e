// A scenario of kind "expert_all_to_all" to its RunResult: dispatch and combine of one group.
#include <chrono>

#include <fmt/format.h>

#include "study/cluster_block.hpp"
#include "study/expert_exchange.hpp"
#include "study/metrics.hpp"
#include "study/run_kinds.hpp"

namespace orrery {
namespace {

void add_sources(RunResult& result, const ClusterProfile& cluster) {
    const auto add = [&](const char* name, const auto& number) {
        result.sources.push_back({name, to_text(number.value), number.from});
    };
    add("NIC", cluster.nic_bandwidth);
    add("NVLink", cluster.nvlink_bandwidth);
    if (!cluster.expert_costs) return;
    const ExpertCosts& costs = *cluster.expert_costs;
    add("expert all-to-all: NIC efficiency", costs.nic_efficiency);
    add("expert all-to-all: NVLink efficiency", costs.nvlink_efficiency);
    add("expert all-to-all: overlap loss", costs.overlap_loss);
    add("expert all-to-all: message time", costs.message_time);
    add("expert all-to-all: barrier", costs.barrier);
    add("expert all-to-all: rate of a dispatching SM", costs.sm_dispatch);
    add("expert all-to-all: rate of a combining SM", costs.sm_combine);
}

void add_metrics(RunResult& result, const ExpertExchangeAnswer& answer, bool dispatch) {
    const ExpertTime& time = answer.time;
    const auto add = [&](std::string_view name, double value) {
        result.metrics.push_back(make_metric(name, value, time.origin));
    };
    add(dispatch ? "dispatch_time" : "combine_time", time.time.value());
    add(dispatch ? "dispatch_bandwidth" : "combine_bandwidth", time.bandwidth.value());
}

}  // namespace

RunOutcome run_expert_exchange(const Scenario& scenario, const RunRequest& request) {
    const ConfigNode& root = scenario.document;
    for (const char* key : {"base", "name", "kind", "description", "published"}) {
        if (const auto node = root.find(key)) node->accept_all();
    }
    const ConfigNode block = root.at("cluster");
    const ClusterProfile cluster = read_cluster_profile(block, request.profiles);
    block.reject_unknown_keys();
    ExpertExchange exchange;
    const ConfigNode settings = root.at("exchange");
    read_exchange(settings, exchange);
    const auto name = [&](std::string_view key, std::int64_t value) {
        return fmt::format("{} = {}", settings.place(key), value);
    };
    root.reject_unknown_keys();

    const auto start = std::chrono::steady_clock::now();
    RunOutcome outcome;
    RunResult& result = outcome.result;
    result.scenario = scenario.name;
    result.kind = scenario.kind;
    result.given = result.used = scenario.given;
    for (const bool dispatch : {true, false}) {
        exchange.dispatch = dispatch;
        const ExpertExchangeAnswer answer = answer_exchange(exchange, cluster, name);
        add_metrics(result, answer, dispatch);
        result.ranks = result.ranks_simulated = answer.traffic.ranks;
    }
    result.published = scenario.published;
    result.changed = scenario.changed;
    add_sources(result, cluster);
    result.wall_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.inputs = {{scenario.file.string(), ""}, {request.profiles.string(), ""}};
    return outcome;
}

}  // namespace orrery
