#include "study/overflow_advice.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "training/schedule.hpp"

namespace orrery {
namespace {

using Change = std::vector<std::pair<std::string, std::string>>;  // key, value

std::string text_of(const Change& change) {
    std::string text;
    for (const auto& [key, value] : change) {
        text += fmt::format("{}{}={}", text.empty() ? "" : " and ", key, value);
    }
    return text;
}

// In the order of what they cost in time, the cheapest first.
std::vector<Change> changes_of(const Scenario& scenario, const ParallelPlan& plan) {
    const ConfigNode given = scenario.document.at("plan");
    std::vector<Change> changes;
    if (plan.zero_stage == 0) changes.push_back({{"plan.zero_stage", "1"}});
    if (!plan.recompute.full) {
        changes.push_back({{"plan.recompute", R"(["norm","swiglu","mla_up_projection"])"}});
    }
    if (plan.micro_batch_size % 2 == 0) {
        changes.push_back({{"plan.micro_batch_size", std::to_string(plan.micro_batch_size / 2)}});
    }
    if (plan.schedule != "1f1b" && plan.pp > 1) {
        Change change = {{"plan.schedule", "1f1b"}};
        if (given.has("virtual_stages")) change.emplace_back("plan.virtual_stages", "null");
        changes.push_back(change);
    }
    if (!plan.recompute.full) changes.push_back({{"plan.recompute", "full"}});
    for (const auto& [key, degree] : {std::pair{"plan.pp", plan.pp}, {"plan.tp", plan.tp}}) {
        Change change = {{key, std::to_string(2 * degree)}};
        if (given.has("dp")) change.emplace_back("plan.dp", std::to_string(plan.dp / 2));
        changes.push_back(change);
    }
    return changes;
}

// The peak after a change; none where the plan cannot be.
std::optional<Bytes> peak_after(const Scenario& scenario, const Change& change,
                                const RunRequest& request) {
    try {
        Scenario changed = scenario;
        for (const auto& [key, value] : change) changed.document.set(key, value);
        changed.document.accept_all();  // checked when the scenario was first read
        const TrainingSpec spec = read_training_scenario(changed, request.profiles).spec;
        const auto narrow = [](std::int64_t n) { return static_cast<int>(n); };
        const int chunks = spec.plan.virtual_stages > 1 ? narrow(spec.plan.virtual_stages) : 0;
        const PipelineSchedule schedule =
            spec.own_schedule
                ? *spec.own_schedule
                : make_schedule(spec.plan.schedule,
                                {narrow(spec.plan.pp), narrow(spec.micro_batches()), chunks});
        if (schedule.ranks != spec.plan.pp || schedule.micro_batches != spec.micro_batches() ||
            static_cast<std::size_t>(schedule.stages) != spec.plan.stages.size()) {
            return std::nullopt;
        }
        return memory_peak(spec, schedule).total;
    } catch (const InputError&) {
        return std::nullopt;
    }
}

}  // namespace

std::string overflow_advice(const Scenario& scenario, const TrainingScenario& training,
                            const MemoryPeak& memory, const RunRequest& request) {
    Bytes least = memory.total;
    std::string best;
    for (const Change& change : changes_of(scenario, training.spec.plan)) {
        const auto peak = peak_after(scenario, change, request);
        if (!peak || *peak >= least) continue;
        least = *peak;
        best = text_of(change);
        if (least <= memory.capacity) {
            return fmt::format("{} brings it to {}, which fits.", best, to_text(least));
        }
    }
    if (best.empty()) {
        return "No single change of recompute, micro-batch, ZeRO stage, schedule, pp or tp lowers "
               "it.";
    }
    return fmt::format("No single change of the plan makes it fit; {} saves most, down to {}.",
                       best, to_text(least));
}

}  // namespace orrery
