// A serving scenario to its RunResult.
#include <chrono>

#include "core/error.hpp"
#include "study/run_kinds.hpp"
#include "study/serving_answer.hpp"

namespace orrery {

RunOutcome run_serving(const Scenario& scenario, const RunRequest& request) {
    if (request.trace) throw InputError("--trace: needs a training scenario");
    ServingScenario serving = read_serving_scenario(scenario, request.profiles);
    if (request.progress) {
        serving.deployment.poll = [&request](SimTime now) {
            request.progress(to_seconds(now));
            return true;
        };
    }
    const auto start = std::chrono::steady_clock::now();
    const ServingResult simulated = simulate_serving(serving.deployment, serving.open_workload());
    if (simulated.arrived == 0) {
        scenario.document.at("workload").fail("must hold at least one request");
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    RunOutcome outcome;
    outcome.result = serving_answer(scenario, serving, simulated);
    outcome.result.wall_seconds = wall.count();
    outcome.result.inputs = {{scenario.file.string(), ""},
                             {serving.model_file.string(), ""},
                             {request.profiles.string(), ""}};
    for (const auto& file : serving.trace_files) {
        outcome.result.inputs.push_back({file.string(), ""});
    }
    return outcome;
}

}  // namespace orrery
