#include "study/pareto.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "study/serving_scenario.hpp"

namespace orrery {
namespace {

// 1, 2, 3, 4, 6, 8, 12, ... and the most.
std::vector<std::int64_t> batch_limits(std::int64_t most) {
    std::vector<std::int64_t> limits;
    for (std::int64_t n = 1; n < most; n *= 2) {
        limits.push_back(n);
        if (n > 1 && n + n / 2 < most) limits.push_back(n + n / 2);
    }
    if (most > 0) limits.push_back(most);
    return limits;
}

// The file's name, or with more of its path where two are called the same.
std::vector<std::string> names_of(const std::vector<Scenario>& scenarios) {
    std::vector<std::string> names;
    for (const Scenario& scenario : scenarios) {
        const auto same = [&](const Scenario& other) {
            return other.file.stem() == scenario.file.stem() && other.file != scenario.file;
        };
        const bool twice = std::any_of(scenarios.begin(), scenarios.end(), same);
        names.push_back(twice ? scenario.file.string() : scenario.file.stem().string());
    }
    return names;
}

// The most a GPU gives while each user's tokens come as fast as promised; nullptr: none does.
const ParetoPoint* best_within(const std::vector<ParetoPoint>& points, double tpot) {
    const ParetoPoint* best = nullptr;
    for (const ParetoPoint& p : points) {
        if (1 / p.load.user_rate > tpot) continue;
        if (best == nullptr || p.load.per_gpu() > best->load.per_gpu()) best = &p;
    }
    return best;
}

// What stands for a deployment where space is short: A, B, ...
std::string letter(std::size_t i) {
    return i < 26 ? std::string(1, static_cast<char>('A' + i)) : fmt::format("#{}", i + 1);
}

struct Deployed {
    ServingScenario serving;
    SteadyPools pools;
};

Deployed read_deployed(Scenario scenario, const Scenario& first,
                       const std::filesystem::path& profiles) {
    if (scenario.kind != "serving") {
        scenario.document.at("kind").fail("must be \"serving\" for --pareto");
    }
    scenario.document.set("workload", first.document.at("workload").dump(-1));
    ServingScenario serving = read_serving_scenario(scenario, profiles);
    const auto pools = steady_pools(serving.deployment);
    if (!pools) {
        scenario.document.at("deployment")
            .at("pools")
            .fail("must be one pool, or one for prompts and one for decode, for --pareto");
    }
    return {std::move(serving), *pools};
}

void add_points(std::vector<ParetoPoint>& points, std::size_t number, Deployed& deployed,
                const MeanRequest& mean) {
    const ClusterSpec& spec = deployed.serving.deployment;
    const double price = deployed.serving.cluster.price_per_gpu_hour.value.value() / 3600;
    for (const std::int64_t batch :
         batch_limits(most_sequences(spec.pools[deployed.pools.decode], mean))) {
        const auto load = steady_load(spec, deployed.pools, mean, batch);
        if (!load) break;
        points.push_back({number, *load, price / load->per_gpu() * 1e6, false});
    }
}

// `all`: of every point, with its deployment's name in full; else those that are dominated or not.
ResultTable table_of(const std::vector<ParetoPoint>& points, const char* name, const char* title,
                     const std::vector<std::string>& deployments, bool all, bool dominated) {
    ResultTable table{name,
                      title,
                      {{"sequences", ""},
                       {"user_rate", "tokens/s"},
                       {"gpu_rate", "tokens/s"},
                       {"step", "s"},
                       {"gpus", ""},
                       {"prompt_gpus", ""},
                       {"cost_per_million_output_tokens", "USD"}},
                      {}};
    const bool named = all || deployments.size() > 1;
    if (named) table.columns.insert(table.columns.begin(), {"deployment", ""});
    if (all) table.columns.push_back({"dominated", ""});
    for (const ParetoPoint& p : points) {
        if (!all && p.dominated != dominated) continue;
        std::vector<Cell> row = {p.load.batch,         p.load.user_rate, p.load.per_gpu(),
                                 p.load.step,          p.load.gpus,      p.load.prompt_gpus,
                                 p.dollars_per_million};
        if (named) row.insert(row.begin(), all ? deployments[p.deployment] : letter(p.deployment));
        if (all) row.emplace_back(std::int64_t{p.dominated ? 1 : 0});
        table.rows.push_back(std::move(row));
    }
    return table;
}

ResultTable setup_table(const std::vector<Scenario>& scenarios,
                        const std::vector<std::string>& names, const MeanRequest& mean,
                        const std::vector<ParetoPoint>& points, double tpot) {
    ResultTable table{"setup", "Setup", {{"what", ""}, {"value", ""}}, {}};
    const ParetoPoint &fast = points.front(),
                      &cheap = *std::max_element(points.begin(), points.end(),
                                                 [](const ParetoPoint&a, const ParetoPoint&b) {
                                                     return a.load.per_gpu() < b.load.per_gpu();
                                                 });
    const bool many = scenarios.size() > 1;
    const auto of = [&](const ParetoPoint& p) {
        return many ? letter(p.deployment) + ", " : std::string();
    };
    table.rows.push_back(
        {std::string("answer"),
         fmt::format("from {:.1f} tokens/s a user at {:.1f} a GPU ({}{} at once) to {:.1f} a GPU "
                     "at {:.1f} a user ({}{} at once)",
                     fast.load.user_rate, fast.load.per_gpu(), of(fast), fast.load.batch,
                     cheap.load.per_gpu(), cheap.load.user_rate, of(cheap), cheap.load.batch)});
    if (tpot > 0) {
        const ParetoPoint* best = best_within(points, tpot);
        const std::string at_most = fmt::format("tpot {}: ", to_text(Seconds(tpot), 4));
        table.rows.push_back(
            {std::string("slo"),
             at_most + (best == nullptr
                            ? "nothing is that fast"
                            : fmt::format("at most {:.1f} tokens/s a GPU ({}{} at once)",
                                          best->load.per_gpu(), of(*best), best->load.batch))});
    }
    for (std::size_t i = 0; i < scenarios.size(); ++i) {
        table.rows.push_back({many ? letter(i) : std::string("deployment"),
                              fmt::format("{}: {}", names[i], scenarios[i].name)});
    }
    table.rows.push_back(
        {std::string("requests"),
         fmt::format("of {}: {:.0f} prompt tokens to compute, {:.0f} of output, {:.0f} of context "
                     "a step, in the mean of {}",
                     names.front(), mean.fresh, mean.output, mean.context, mean.requests)});
    return table;
}

void add_sources(RunResult& result, const ServingScenario& serving, Origin& origin) {
    const auto add = [&](const SourceUsed& source) {
        const auto same = [&](const SourceUsed& s) {
            return s.name == source.name && s.value == source.value;
        };
        if (std::none_of(result.sources.begin(), result.sources.end(), same)) {
            result.sources.push_back(source);
        }
    };
    for (const auto& timer : serving.timers) {
        origin = weakest(origin, timer->weakest_origin());
        for (const SourceUsed& source : timer->sources()) add(source);
    }
    for (const SourceUsed& source : serving.sources) {
        add(source);
        origin = weakest(origin, source.from.origin);
    }
}

}  // namespace

void mark_dominated(std::vector<ParetoPoint>& points) {
    for (ParetoPoint& p : points) {
        p.dominated = std::any_of(points.begin(), points.end(), [&](const ParetoPoint& q) {
            const double user = q.load.user_rate - p.load.user_rate;
            const double gpu = q.load.per_gpu() - p.load.per_gpu();
            return user >= 0 && gpu >= 0 && user + gpu > 0;
        });
    }
}

ParetoAnswer pareto_front(const std::vector<Scenario>& scenarios,
                          const std::filesystem::path& profiles) {
    const auto start = std::chrono::steady_clock::now();
    ParetoAnswer answer;
    RunResult& result = answer.result;
    const std::vector<std::string> names = names_of(scenarios);
    Origin origin = Origin::measured;
    MeanRequest mean;
    double tpot = 0;
    for (std::size_t i = 0; i < scenarios.size(); ++i) {
        Deployed deployed = read_deployed(scenarios[i], scenarios.front(), profiles);
        const MeanRequest own =
            mean_request(deployed.serving.deployment, deployed.serving.open_workload);
        if (own.requests == 0 || own.output <= 1) {
            scenarios.front()
                .document.at("workload")
                .fail("must hold requests with more than one token of output");
        }
        if (i == 0) {
            mean = own;
            tpot = to_seconds(deployed.serving.promise.objectives.tpot).value();
        }
        add_points(answer.points, i, deployed, own);
        add_sources(result, deployed.serving, origin);
        result.inputs.push_back({scenarios[i].file.string(), ""});
    }
    if (answer.points.empty()) {
        throw InputError(fmt::format("{}: one sequence of {:.0f} tokens must fit into the KV cache",
                                     scenarios.front().file.string(), mean.context));
    }
    result.inputs.push_back({profiles.string(), ""});
    mark_dominated(answer.points);
    std::stable_sort(answer.points.begin(), answer.points.end(), [](const auto& a, const auto& b) {
        return a.load.user_rate > b.load.user_rate;
    });
    result.scenario = "Throughput against interactivity at a steady load";
    result.kind = "pareto";
    result.given = scenarios.front().given;
    result.changed = scenarios.front().changed;
    result.breakdown = {setup_table(scenarios, names, mean, answer.points, tpot),
                        table_of(answer.points, "front",
                                 "The front: nothing else is better in both", names, false, false),
                        table_of(answer.points, "dominated", "Dominated", names, false, true),
                        table_of(answer.points, "points", "All points", names, true, true)};
    result.notes = {
        "Steady load in closed form: every attention group holds that many sequences of the mean "
        "length all the time, and prompts come in as others end. Queues, bursts and time to first "
        "token are not in it: orrery run and orrery size replay them.",
        "GPUs: one engine that decodes, and the part of a prompts' engine that it keeps busy.",
        fmt::format("Weakest origin underneath: {}.", to_string(origin))};
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    result.wall_seconds = wall.count();
    return answer;
}

}  // namespace orrery
