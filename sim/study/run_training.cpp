// A training scenario to its RunResult.
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "core/error.hpp"
#include "study/overflow_advice.hpp"
#include "study/run_kinds.hpp"
#include "study/training_answer.hpp"
#include "study/training_scenario.hpp"
#include "training/step.hpp"

namespace orrery {
namespace {

TrainingOptions options_of(const RunRequest& request, const TrainingSpec& spec) {
    TrainingOptions options;
    if (request.progress) {
        options.poll = [&request](SimTime now) {
            request.progress(to_seconds(now));
            return true;
        };
    }
    if (!request.trace) return options;
    options.trace_all_micro_batches = request.trace_whole_step;
    if (request.trace_ranks.empty()) options.trace_ranks = {0};
    for (const std::int64_t rank : request.trace_ranks) {
        if (rank < 0 || rank >= spec.plan.ranks()) {
            throw InputError(
                fmt::format("--trace-ranks {}: must be from 0 to {}", rank, spec.plan.ranks() - 1));
        }
        options.trace_ranks.push_back(static_cast<std::uint32_t>(rank));
    }
    return options;
}

// Bad input that only the simulation sees, such as a schedule that does not take the number of
// micro-batches, is about the scenario.
TrainingResult simulate(const Scenario& scenario, const TrainingSpec& spec,
                        const TrainingOptions& options) {
    try {
        return simulate_training(spec, options);
    } catch (const InputError& e) {
        const std::string text = e.what();
        if (!text.starts_with("schedule ")) throw;
        throw InputError(fmt::format("{}: plan: {}", scenario.file.string(), text));
    }
}

}  // namespace

RunOutcome run_scenario(const Scenario& scenario, const RunRequest& request) {
    if (scenario.kind == "expert_all_to_all") return run_expert_exchange(scenario, request);
    if (scenario.kind == "serving") return run_serving(scenario, request);
    if (scenario.kind == "iteration") return run_iteration(scenario, request);
    const TrainingScenario training = read_training_scenario(scenario, request.profiles);
    const auto start = std::chrono::steady_clock::now();
    TrainingResult simulated =
        simulate(scenario, training.spec, options_of(request, training.spec));
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;

    RunOutcome outcome;
    outcome.timeline = std::move(simulated.timeline);
    outcome.result = training_answer(scenario, training, simulated);
    if (!simulated.memory.fits() && !outcome.result.notes.empty()) {
        outcome.result.notes.front() +=
            " " + overflow_advice(scenario, training, simulated.memory, request);
    }
    if (const std::size_t missing = simulated.missing_shapes.size(); missing > 0) {
        outcome.result.notes.push_back(fmt::format(
            "{} operators are priced far from every row of {}'s tables; --missing-shapes FILE "
            "lists them for orrery-calibrate --missing.",
            missing, training.spec.accelerator.name));
    }
    outcome.result.wall_seconds = wall.count();
    outcome.result.inputs = {{scenario.file.string(), ""},
                             {training.model_file.string(), ""},
                             {request.profiles.string(), ""}};
    return outcome;
}

}  // namespace orrery
