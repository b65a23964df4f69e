#include "study/size_answer.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/unit_text.hpp"

namespace orrery {
namespace {

std::string plural(std::int64_t count, const char* thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

// "5 chat engines"; a pool that is called engine needs no name.
std::string engines_of(std::int64_t count, const std::string& pool) {
    const bool plain = pool == "engine" || pool == "engines";
    return plural(count, plain ? "engine" : (pool + " engine").c_str());
}

std::string label(const SizeAnswer& answer, const Engines& engines) {
    std::string text;
    for (std::size_t p = 0; p < engines.size(); ++p) {
        text += fmt::format("{}{}", p == 0 ? "" : " + ", engines_of(engines[p], answer.pools[p]));
    }
    return text;
}

std::int64_t nodes_of(std::int64_t gpus, const ServingScenario& serving) {
    return (gpus + serving.gpus_per_node() - 1) / serving.gpus_per_node();
}

std::string promise_text(const ServicePromise& promise) {
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    const ServiceLevel& each = promise.objectives;
    for (const auto& [name, most] :
         {std::pair("ttft", each.ttft), std::pair("tpot", each.tpot), std::pair("e2e", each.e2e)}) {
        if (most.ps > 0) add(fmt::format("{} {}", name, to_text(to_seconds(most), 4)));
    }
    const bool objectives = !text.empty();
    text = objectives
               ? fmt::format("{:g} % of the requests within {}", 100 * promise.attainment, text)
               : fmt::format("{:g} % of the requests end", 100 * promise.attainment);
    for (const ServiceTarget& target : promise.targets) {
        add(fmt::format("{} {}", target.name, to_text(to_seconds(target.most), 4)));
    }
    return text + ", and STABLE";
}

// The largest size that was replayed and failed: of those with no more engines than the answer in
// any pool, where there are such.
const TriedSize* next_below(const SizeAnswer& answer) {
    const TriedSize* found = nullptr;
    bool found_inside = false;
    for (const TriedSize& tried : answer.tried) {
        if (tried.missed.empty()) continue;
        bool inside = true;
        if (answer.best) {
            const TriedSize& best = answer.tried[*answer.best];
            if (tried.gpus >= best.gpus) continue;
            for (std::size_t p = 0; p < best.engines.size(); ++p) {
                inside = inside && tried.engines[p] <= best.engines[p];
            }
        }
        if (found_inside && !inside) continue;
        if (found == nullptr || inside != found_inside || tried.gpus >= found->gpus) found = &tried;
        found_inside = inside;
    }
    return found;
}

std::string sentence(const SizeAnswer& answer, const ServingScenario& serving,
                     const SizeBounds& bounds, const SizeSpace& space) {
    if (!bounds.impossible.empty()) return "no size: " + bounds.impossible;
    if (answer.best) {
        const TriedSize& best = answer.tried[*answer.best];
        const TriedSize* below = next_below(answer);
        return fmt::format("{} = {} = {}{}", label(answer, best.engines), plural(best.gpus, "GPU"),
                           plural(nodes_of(best.gpus, serving), "node"),
                           below == nullptr ? ""
                                            : fmt::format("; {}: {}", label(answer, below->engines),
                                                          below->missed.front()));
    }
    for (std::size_t p = 0; p < space.pools.size(); ++p) {
        if (bounds.least[p] <= space.pools[p].most) continue;
        return fmt::format(
            "no size of those allowed: it takes at least {}, and at most {} may be "
            "used",
            engines_of(bounds.least[p], answer.pools[p]), space.pools[p].most);
    }
    const TriedSize* below = next_below(answer);
    return below == nullptr
               ? "no size of those allowed: the least engines of all pools take more than the "
                 "nodes that may be used"
               : fmt::format("no size of those allowed; {}: {}", label(answer, below->engines),
                             below->missed.front());
}

Cell metric_cell(const RunResult& result, const std::string& name) {
    const Metric* metric = result.find(name);
    if (metric == nullptr) return std::monostate{};
    return metric->value;
}

ResultTable sizes_table(const SizeAnswer& answer, const ServingScenario& serving) {
    ResultTable table{"sizes", "Sizes that were replayed", {}, {}};
    for (const std::string& pool : answer.pools) table.columns.push_back({pool, ""});
    table.columns.push_back({"gpus", ""});
    table.columns.push_back({"nodes", ""});
    table.columns.push_back({"slo", ""});
    std::vector<std::pair<std::string, ResultColumn>> metrics = {
        {"good_share", {"good_share", "1"}}};
    for (const ServiceTarget& time : service_targets()) {
        metrics.push_back({time.name, {time.name, "s"}});
    }
    for (const char* cost : {"cost_per_hour", "cost_per_million_output_tokens"}) {
        metrics.push_back({cost, {cost, "USD"}});
    }
    for (const auto& [name, column] : metrics) table.columns.push_back(column);
    for (const TriedSize& tried : answer.tried) {
        std::vector<Cell> row;
        for (const std::int64_t n : tried.engines) row.emplace_back(n);
        row.emplace_back(tried.gpus);
        row.emplace_back(nodes_of(tried.gpus, serving));
        row.emplace_back(std::string(tried.missed.empty() ? "kept" : "missed"));
        for (const auto& [name, column] : metrics) row.push_back(metric_cell(tried.result, name));
        table.rows.push_back(std::move(row));
    }
    return table;
}

ResultTable rejected_table(const SizeAnswer& answer, const SizeBounds& bounds) {
    ResultTable table{"rejected", "Why others will not do", {{"size", ""}, {"why", ""}}, {}};
    for (const SizeBound& bound : bounds.bounds) {
        const auto least = static_cast<std::int64_t>(std::ceil(bound.engines() - 1e-9));
        const bool higher =
            std::any_of(bounds.bounds.begin(), bounds.bounds.end(), [&](const SizeBound& other) {
                return other.pool == bound.pool && other.engines() > bound.engines();
            });
        if (least < 2 || higher) continue;
        table.rows.push_back(
            {fmt::format("below {}", engines_of(least, answer.pools[bound.pool])),
             fmt::format("not replayed: {} that come and fall due within {} keep at least {:.1f} "
                         "engines busy all that time",
                         bound.work, to_text(Seconds(bound.window), 4), bound.engines())});
    }
    for (const TriedSize& tried : answer.tried) {
        if (tried.missed.empty()) continue;
        std::string why;
        for (const std::string& missed : tried.missed) why += (why.empty() ? "" : "; ") + missed;
        table.rows.push_back({label(answer, tried.engines), why});
    }
    return table;
}

void add_notes(RunResult& result, const SizeAnswer& answer, bool every) {
    std::vector<std::string> notes;
    if (!answer.tried.empty()) {
        notes.push_back(
            every ? "Every size that the bounds leave was replayed up to the answer."
                  : "Sizes were tried by doubling steps and by halves: those between, fewer than "
                    "one that failed, are taken to fail. --every replays each.");
    }
    notes.push_back(
        "A size that was not replayed is below a bound in closed form: the least time that the "
        "requests' work takes in the best batches their objectives allow, however it is cut.");
    notes.insert(notes.end(), result.notes.begin(), result.notes.end());
    result.notes = std::move(notes);
}

}  // namespace

void write_size_answer(SizeAnswer& answer, const Scenario& scenario, const ServingScenario& serving,
                       const SizeBounds& bounds, const SizeSpace& space, bool every) {
    RunResult& result = answer.result;
    if (answer.best) result = answer.tried[*answer.best].result;
    ResultTable setup{"setup", "Setup", {{"what", ""}, {"value", ""}}, {}};
    if (answer.best) setup = result.breakdown.front();
    setup.rows.insert(setup.rows.begin(),
                      {{std::string("answer"), sentence(answer, serving, bounds, space)},
                       {std::string("slo"), promise_text(serving.promise)}});
    result.scenario = scenario.name;
    result.kind = "size";
    result.given = scenario.given;
    if (!answer.best) result.used = "null";
    result.changed = scenario.changed;
    result.published.clear();
    result.breakdown = {setup, sizes_table(answer, serving), rejected_table(answer, bounds)};
    result.events = result.operators = 0;
    result.wall_seconds = 0;
    for (const TriedSize& tried : answer.tried) {
        result.events += tried.result.events;
        result.operators += tried.result.operators;
        result.wall_seconds += tried.result.wall_seconds;
    }
    add_notes(result, answer, every);
}

}  // namespace orrery
