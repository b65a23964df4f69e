#include "study/chain.hpp"

#include <chrono>

#include <fmt/format.h>

#include "core/error.hpp"
#include "study/training_scenario.hpp"
#include "training/schedule_timing.hpp"
#include "training/step.hpp"

namespace orrery {
namespace {

double mean(double sum, std::int64_t count) {
    return count > 0 ? sum / static_cast<double>(count) : 0;
}

// How many passes of each kind pipeline rank 0 runs.
struct PassCounts {
    std::int64_t forwards = 0, backwards = 0, backward_weights = 0, pairs = 0;
};
PassCounts counts_of(const PipelineSchedule& schedule) {
    PassCounts n;
    for (const Action& action : schedule.actions.front()) {
        n.forwards += action.kind == ActionKind::forward;
        n.backwards +=
            action.kind == ActionKind::backward || action.kind == ActionKind::backward_input;
        n.backward_weights += action.kind == ActionKind::backward_weight;
        n.pairs += action.kind == ActionKind::forward_backward;
    }
    return n;
}

// A split backward leaves its W for later, a full one has it inside:
//   1B = n_B I + (n_B - n_W) W,   1W = n_W W.
PassCosts costs_of(const ChainRow& row, const PassCounts& n) {
    const double weight = mean(row.backward_weight, n.backward_weights);
    const double full = static_cast<double>(n.backwards - n.backward_weights);
    return {.forward = mean(row.forward, n.forwards),
            .backward_input = mean(row.backward - full * weight, n.backwards),
            .backward_weight = weight,
            .forward_backward = mean(row.forward_backward, n.pairs)};
}

void add_even_bubble(ChainRow& row, const PipelineSchedule& schedule) {
    const PassCounts n = counts_of(schedule);
    row.pair = mean(row.forward_backward, n.pairs);
    row.even_bubble = time_schedule(schedule, costs_of(row, n)).bubble.front();
}

ChainRow row_of(const TrainingResult& result) {
    const StepParts& parts = result.parts;
    ChainRow row;
    row.step = result.step_time.value();
    row.forward = parts.forward.value();
    row.backward = parts.backward.value();
    row.backward_weight = parts.backward_weight.value();
    row.forward_backward = parts.forward_backward.value();
    row.bubble = parts.bubble.value();
    row.optimizer = parts.optimizer.value();
    row.traced_pair = result.chunk_pair.time.value();
    row.waiting = parts.barrier.value();
    row.ranks_simulated = result.ranks_simulated;
    for (const StepParts& rank : result.by_pipeline_rank) {
        row.mean_bubble +=
            rank.bubble.value() / static_cast<double>(result.by_pipeline_rank.size());
    }
    return row;
}

ChainRow published_row(const Scenario& scenario) {
    ChainRow row;
    row.name = "published";
    const std::pair<const char*, double*> places[] = {
        {"step_time", &row.step},
        {"time_1f", &row.forward},
        {"time_1b", &row.backward},
        {"time_1w", &row.backward_weight},
        {"time_1f1b", &row.forward_backward},
        {"time_bubble", &row.bubble},
        {"time_optimizer", &row.optimizer},
        {"chunk_pair_time", &row.traced_pair},
    };
    for (const PublishedFigure& figure : scenario.published) {
        for (const auto& [metric, place] : places) {
            if (figure.metric == metric) *place = figure.value;
        }
    }
    return row;
}

bool has_all_parts(const ChainRow& row) {
    return row.forward > 0 && row.backward > 0 && row.backward_weight > 0 &&
           row.forward_backward > 0;
}

}  // namespace

Chain load_chain(const std::filesystem::path& file) {
    const ConfigNode root = ConfigNode::load(file);
    Chain chain;
    chain.file = file;
    chain.name = root.at("name").as_string();
    chain.scenario = resolve_file(root.at("scenario"), file);
    for (const ConfigNode& node : root.at("steps").elements()) {
        ChainStep step;
        step.name = node.at("name").as_string();
        if (const auto why = node.find("why")) step.why = why->as_string();
        if (const auto sets = node.find("set")) {
            for (const ConfigNode& set : sets->elements()) step.sets.push_back(set.as_string());
        }
        chain.steps.push_back(std::move(step));
    }
    if (chain.steps.empty()) root.at("steps").fail("must have at least one step");
    root.reject_unknown_keys();
    return chain;
}

ChainAnswer run_chain(const Chain& chain, const std::vector<std::string>& sets,
                      const RunRequest& request,
                      const std::function<void(std::size_t)>& before_step) {
    ChainAnswer answer;
    std::vector<std::string> applied;
    for (std::size_t i = 0; i < chain.steps.size(); ++i) {
        before_step(i);
        const ChainStep& step = chain.steps[i];
        applied.insert(applied.end(), step.sets.begin(), step.sets.end());
        std::vector<std::string> all = applied;
        all.insert(all.end(), sets.begin(), sets.end());
        const Scenario scenario = load_scenario(chain.scenario, all);
        if (scenario.kind != "training") {
            throw InputError(fmt::format("{}: scenario {}: must be of kind \"training\"",
                                         chain.file.string(), chain.scenario.string()));
        }
        const TrainingSpec spec = read_training_scenario(scenario, request.profiles).spec;
        const auto start = std::chrono::steady_clock::now();
        const TrainingResult result = simulate_training(spec, {});
        const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
        ChainRow row = row_of(result);
        row.name = step.name;
        row.wall = wall.count();
        add_even_bubble(row, training_schedule(spec));
        answer.rows.push_back(std::move(row));
    }
    // Published of the scenario as it stands, whatever the steps change.
    const Scenario shipped = load_scenario(chain.scenario, {});
    answer.published = published_row(shipped);
    if (has_all_parts(answer.published)) {
        const TrainingSpec spec = read_training_scenario(shipped, request.profiles).spec;
        add_even_bubble(answer.published, training_schedule(spec));
    }
    return answer;
}

}  // namespace orrery
