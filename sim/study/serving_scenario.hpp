#pragma once
// The blocks of a serving scenario to a deployment that can be simulated, and the settings it used.
// Format: scenarios/README.md.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/run_result.hpp"
#include "serving/cluster_spec.hpp"
#include "serving/iteration_time.hpp"
#include "serving/service_promise.hpp"
#include "serving/timer_memo.hpp"
#include "study/scenario.hpp"

namespace orrery {

struct ServingScenario {
    std::filesystem::path model_file;
    ModelSpec model;
    ClusterProfile cluster;
    AcceleratorProfile accelerator;
    Deployment engines;  // what they are made of and hold
    // By pool. The timers outlive the deployment that refers to them; moving keeps them in place.
    std::vector<std::unique_ptr<IterationTime>> timers;
    std::vector<std::unique_ptr<TimerMemo>> memos;  // in front of them
    bool shared_handoff = false;                    // hand-overs share links
    std::unique_ptr<RoutedNetwork> network;         // those links; else null
    ClusterSpec deployment;
    ServicePromise promise;                        // "slo"
    std::function<RequestStream()> open_workload;  // from its beginning each time
    std::vector<std::filesystem::path> trace_files;
    std::string used;                 // JSON text
    std::vector<SourceUsed> sources;  // stated inputs
    std::vector<std::string> notes;

    std::int64_t gpus() const { return engines.gpus(); }  // at the start
    std::int64_t gpus_per_node() const {
        return static_cast<std::int64_t>(cluster.gpus_per_node.value.value());
    }
    double nodes() const {
        return static_cast<double>(gpus()) / static_cast<double>(gpus_per_node());
    }
};

// Throws InputError for unknown keys, wrong units, values out of range, a deployment that cannot
// be, a trace whose first line is wrong.
ServingScenario read_serving_scenario(const Scenario& scenario,
                                      const std::filesystem::path& profiles);

// The network that hand-overs share, new and as large as the deployment; nothing where they share
// none. Whoever simulates a deployment again needs a new one.
void connect_handoff(ServingScenario& serving);
// So many engines in each pool from now on, ranks, network and settings used included. The cluster
// is taken to be large enough. Timers keep what they know.
void resize(ServingScenario& serving, const std::vector<std::int64_t>& engines);

}  // namespace orrery
