// A serving scenario to its RunResult.
#include <chrono>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/plural.hpp"
#include "study/run_kinds.hpp"
#include "study/serving_answer.hpp"

namespace orrery {
namespace {

[[noreturn]] void refuse_empty(const Scenario& scenario, const ServingScenario& serving,
                               const ServingResult& simulated) {
    const std::string where = serving.trace_files.empty() ? scenario.document.at("workload").place()
                                                          : serving.trace_files.front().string();
    const std::string skipped = simulated.skipped_lines == 0
                                    ? ""
                                    : fmt::format(" {} wrong and skipped, nothing is left:",
                                                  counted(simulated.skipped_lines, "line"));
    throw InputError(fmt::format("{}:{} must hold at least one request", where, skipped));
}

}  // namespace

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
    if (simulated.arrived == 0) refuse_empty(scenario, serving, simulated);
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
