#include "study/serving_scenario.hpp"

#include <cmath>

#include "core/error.hpp"
#include "model/accounting.hpp"
#include "model/read_config.hpp"
#include "network/cluster_topology.hpp"
#include "study/cluster_block.hpp"
#include "study/serving_reader.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

void read_cluster(ServingReader& reader) {
    const ConfigNode block = reader.scenario.document.at("cluster");
    ServingScenario& result = reader.result;
    result.cluster = read_cluster_profile(block, reader.profiles);
    result.accelerator = read_accelerator(block, result.cluster, reader.profiles);
    for (const char* key : {"nodes", "gpus_per_node", "nic_bandwidth", "nvlink_bandwidth", "fail",
                            "profile", "kernels"}) {
        if (const auto node = block.find(key)) reader.note(block, key, node->dump(-1));
    }
    const auto accelerator = block.find("accelerator");
    reader.note_text(block, "accelerator",
                     accelerator ? accelerator->as_string() : result.cluster.accelerator);
    result.cluster.price_per_gpu_hour = reader.sourced<DollarsPerHour>(
        block, "price_per_gpu_hour", result.cluster.price_per_gpu_hour, "price of a GPU and hour");
    block.reject_unknown_keys();
}

void read_failures(ServingReader& reader) {
    const auto block = reader.scenario.document.find("failures");
    if (!block) return;
    FailureSpec& failures = reader.result.deployment.failures;
    if (block->has("mean_time_between")) {
        failures.mean_seconds_between =
            to_seconds(reader.duration(*block, "mean_time_between")).value();
        if (failures.mean_seconds_between <= 0) {
            block->at("mean_time_between").refuse("must be above 0");
        }
    }
    failures.repair = reader.duration(*block, "repair", to_sim_duration(Seconds(300)));
    failures.detection = reader.duration(*block, "detection", to_sim_duration(Seconds(1)));
    failures.most_retries = reader.integer(*block, "most_retries", 10, 0, 1'000'000);
    failures.seed = static_cast<std::uint64_t>(reader.integer(*block, "seed", 1, 0, INT64_MAX));
    const auto list = block->find("at");
    if (list) {
        reader.note(*block, "at", list->dump(-1));
        for (const ConfigNode& node : list->elements()) {
            Failure failure;
            const std::string pool = node.at("pool").as_string();
            const auto& pools = reader.result.deployment.pools;
            std::size_t p = 0;
            while (p < pools.size() && pools[p].name != pool) ++p;
            if (p == pools.size()) node.at("pool").fail("must name one of the pools");
            failure.pool = static_cast<std::int64_t>(p);
            failure.engine = node.at("engine").as_integer(0, pools[p].engines - 1) * pools[p].lanes;
            failure.at = SimTime{reader.time_within_range(node.at("time")).ps};
            node.reject_unknown_keys();
            failures.given.push_back(failure);
        }
    }
    block->reject_unknown_keys();
}

void read_run(ServingReader& reader) {
    const auto block = reader.scenario.document.find("run");
    if (!block) return;
    ClusterSpec& deployment = reader.result.deployment;
    if (block->has("time_limit")) {
        deployment.time_limit = SimTime{reader.duration(*block, "time_limit").ps};
        if (deployment.time_limit.ps <= 0) block->at("time_limit").refuse("must be above 0");
    }
    deployment.most_waiting =
        reader.integer(*block, "most_waiting", deployment.most_waiting, 1, 1'000'000'000);
    block->reject_unknown_keys();
}

// GPUs that all pools take at most.
std::int64_t most_gpus(const ClusterSpec& deployment) {
    std::int64_t gpus = 0;
    for (const PoolSpec& pool : deployment.pools) {
        gpus += (pool.autoscale.on ? pool.autoscale.most : pool.engines) * pool.gpus_per_engine;
    }
    return gpus;
}

void read_handoff(ServingReader& reader) {
    ServingScenario& result = reader.result;
    HandoffSpec& handoff = result.deployment.handoff;
    const auto block = reader.scenario.document.find("handoff");
    bool any = false;
    for (const DeployedPool& pool : result.engines.pools) {
        if (pool.role != EngineRole::prefill) continue;
        any = true;
        handoff.bytes_per_token = static_cast<double>(
            kv_bytes_per_token(pool.engine.model, pool.engine.plan.key_value_bits / 8));
    }
    handoff.layers = static_cast<std::int64_t>(result.model.layers.size());
    if (!any) {
        if (block) block->fail("is of prefill pools, of which there are none");
        return;
    }
    ConfigNode given = reader.scenario.document;
    if (!block) given.set("handoff", "{}");
    const ConfigNode node = block ? *block : given.at("handoff");
    handoff.layer_wise = reader.choice(node, "mode", 0, {"whole", "layer_wise"}) == 1;
    const bool shared = reader.choice(node, "network", 0, {"shared", "plain"}) == 0;
    handoff.latency = reader.duration(node, "latency");
    const ClusterProfile& cluster = result.cluster;
    handoff.bandwidth = cluster.nic_bandwidth.value * cluster.nic_efficiency.value.value();
    if (block) block->reject_unknown_keys();
    result.shared_handoff = shared;
    connect_handoff(result);
}

void check_size(ServingReader& reader) {
    const std::int64_t gpus = most_gpus(reader.result.deployment);
    const auto have = static_cast<std::int64_t>(reader.result.cluster.nodes.value.value()) *
                      reader.result.gpus_per_node();
    if (gpus <= have) return;
    reader.scenario.document.at("scheduling")
        .fail(fmt::format("pools take up to {} GPUs, must take at most the cluster's {}", gpus,
                          have));
}

}  // namespace

void read_slo(ServingReader& reader) {
    const auto block = reader.scenario.document.find("slo");
    if (!block) return;
    const auto objective = [&](const char* key) {
        if (!block->has(key)) return SimDuration{};
        const SimDuration most = reader.duration(*block, key);
        if (most.ps <= 0) block->at(key).refuse("must be above 0");
        return most;
    };
    ServiceLevel& slo = reader.result.deployment.slo;
    slo.ttft = objective("ttft");
    slo.tpot = objective("tpot");
    slo.e2e = objective("e2e");
    ServicePromise& promise = reader.result.promise;
    promise.objectives = slo;
    promise.attainment = reader.number(*block, "attainment", promise.attainment, 0, 1);
    if (promise.attainment <= 0) block->at("attainment").refuse("must be above 0");
    for (ServiceTarget target : service_targets()) {
        const auto node = block->find(target.name);
        if (!node) continue;
        target.most = reader.duration(*block, target.name);
        if (target.most.ps <= 0) node->fail("must be above 0");
        promise.targets.push_back(target);
    }
    block->reject_unknown_keys();
}

void connect_handoff(ServingScenario& serving) {
    if (!serving.shared_handoff) return;
    ClusterProfile used = serving.cluster;
    const std::int64_t per_node = serving.gpus_per_node();
    used.nodes.value =
        Ratio(static_cast<double>((most_gpus(serving.deployment) + per_node - 1) / per_node));
    serving.network = std::make_unique<RoutedNetwork>(cluster_topology(used));
    serving.deployment.handoff.network = serving.network.get();
}

void read_deployment(ServingReader& reader) {
    read_handoff(reader);
    read_failures(reader);
    read_run(reader);
    check_size(reader);
}

ServingScenario read_serving_scenario(const Scenario& scenario, const fs::path& profiles) {
    ServingReader reader{scenario, profiles};
    const ConfigNode& document = scenario.document;
    for (const char* key : {"base", "name", "kind", "description", "published"}) {
        if (const auto node = document.find(key)) node->accept_all();
    }
    reader.note_text(document, "name", scenario.name);
    reader.note_text(document, "kind", scenario.kind);
    const ConfigNode model = document.at("model");
    reader.result.model_file = resolve_file(model, scenario.file);
    reader.result.model = load_model(reader.result.model_file);
    reader.note_text(document, "model", model.as_string());
    read_cluster(reader);
    read_workload(reader);
    read_slo(reader);
    read_pools(reader);
    read_deployment(reader);
    document.reject_unknown_keys();
    reader.result.used = reader.used.dump();
    return std::move(reader.result);
}

}  // namespace orrery
