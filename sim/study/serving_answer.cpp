#include "study/serving_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/plural.hpp"
#include "study/metrics.hpp"

namespace orrery {
namespace {

void add_times(RunResult& result, std::string_view name, const DurationSketch& sketch,
               Origin origin) {
    if (sketch.count() == 0) return;
    const auto add = [&](std::string_view suffix, Seconds value) {
        result.metrics.push_back(
            make_metric(fmt::format("{}_{}", name, suffix), value.value(), origin));
    };
    add("mean", sketch.mean());
    add("p50", sketch.percentile(0.5));
    add("p90", sketch.percentile(0.9));
    add("p99", sketch.percentile(0.99));
}

// Dollars that prompts and decode cost: engines' time by what they computed; idle time goes along.
struct Costs {
    double prompts = 0, decode = 0;
};
Costs costs_of(const ServingScenario& serving, const ServingResult& simulated) {
    const double price = serving.cluster.price_per_gpu_hour.value.value() / 3600;
    Costs costs;
    for (const PoolResult& pool : simulated.pools) {
        costs.prompts += price * pool.gpu_seconds * pool.prompt_fraction;
        costs.decode += price * pool.gpu_seconds * (1 - pool.prompt_fraction);
    }
    return costs;
}

void add_rates(RunResult& result, const ServingScenario& serving, const ServingResult& r,
               Origin origin) {
    const auto add = [&](std::string_view name, double value, Origin from) {
        result.metrics.push_back(make_metric(name, value, from));
    };
    const double seconds = to_seconds(r.end).value();
    const double gpu_seconds = r.gpu_seconds();
    if (seconds <= 0 || gpu_seconds <= 0) return;
    // Figures of a node are of one that the deployment has.
    const double per_node = static_cast<double>(serving.gpus_per_node());
    const bool nodes = serving.gpus() >= serving.gpus_per_node();
    const double input = static_cast<double>(r.prompt_tokens) / gpu_seconds;
    const double output = static_cast<double>(r.output_tokens) / gpu_seconds;
    add("input_throughput_per_gpu", input, origin);
    if (nodes) add("input_throughput_per_node", input * per_node, origin);
    add("output_throughput_per_gpu", output, origin);
    if (nodes) add("output_throughput_per_node", output * per_node, origin);
    add("request_rate", static_cast<double>(r.finished) / seconds, origin);
    const ServiceLevel& slo = serving.deployment.slo;
    if (slo.ttft.ps + slo.tpot.ps + slo.e2e.ps > 0) {
        add("goodput", static_cast<double>(r.good) / seconds, origin);
        add("good_share", static_cast<double>(r.good) / static_cast<double>(r.arrived), origin);
    }
    add(nodes ? "nodes" : "gpus", gpu_seconds / seconds / (nodes ? per_node : 1), Origin::given);
    const Origin money = weakest(origin, serving.cluster.price_per_gpu_hour.from.origin);
    const Costs costs = costs_of(serving, r);
    const auto per_million = [&](std::string_view name, double dollars, std::int64_t tokens) {
        if (tokens > 0) add(name, dollars / static_cast<double>(tokens) * 1e6, money);
    };
    add("cost_per_hour", (costs.prompts + costs.decode) / seconds * 3600, money);
    per_million("cost_per_million_input_tokens", costs.prompts, r.prompt_tokens);
    per_million("cost_per_million_computed_tokens", costs.prompts, r.computed_prompt_tokens);
    per_million("cost_per_million_output_tokens", costs.decode, r.output_tokens);
}

void add_cache(RunResult& result, const ServingResult& r) {
    std::int64_t tokens = 0;
    double used = 0;
    for (const PoolResult& pool : r.pools) {
        tokens += pool.kv_tokens;
        used += pool.kv_mean * static_cast<double>(pool.kv_tokens);
    }
    const auto add = [&](std::string_view name, double value) {
        result.metrics.push_back(make_metric(name, value, Origin::derived));
    };
    add("kv_capacity_tokens", static_cast<double>(tokens));
    add("kv_use_share", used / static_cast<double>(tokens));
    if (r.admitted_prompt_tokens > 0) {
        add("kv_hit_rate",
            static_cast<double>(r.hit_tokens) / static_cast<double>(r.admitted_prompt_tokens));
    }
}

std::string plan_text(const InferencePlan& plan) {
    std::string text;
    for (const auto& [name, degree] : {std::pair("TP", plan.tp), std::pair("DP", plan.dp),
                                       std::pair("EP", plan.ep), std::pair("PP", plan.pp)}) {
        if (degree > 1) text += fmt::format("{}{}{}", text.empty() ? "" : " ", name, degree);
    }
    return fmt::format("{}, {}, KV {}", text.empty() ? "one GPU" : text, to_string(plan.precision),
                       plan.key_value_bits == 8 ? "fp8" : "bf16");
}

ResultTable setup_table(const ServingScenario& serving, const ServingResult& r) {
    ResultTable table{"setup", "Setup", {{"what", ""}, {"value", ""}}, {}};
    const auto row = [&](std::string what, std::string value) {
        table.rows.push_back({std::move(what), std::move(value)});
    };
    row("model", serving.model.name);
    row("cluster", serving.gpus() < serving.gpus_per_node()
                       ? fmt::format("{} of the {} GPUs of a node, {}", serving.gpus(),
                                     serving.gpus_per_node(), serving.accelerator.title)
                       : fmt::format("{:g} {} of {} {}", serving.nodes(),
                                     serving.nodes() == 1 ? "node" : "nodes",
                                     serving.gpus_per_node(), serving.accelerator.title));
    for (std::size_t p = 0; p < serving.engines.pools.size(); ++p) {
        const DeployedPool& pool = serving.engines.pools[p];
        const PoolSpec& spec = serving.deployment.pools[p];
        row(pool.name,
            fmt::format("{} of {} ({}), {}",
                        counted(pool.engines, fmt::format("{} engine", to_string(pool.role))),
                        counted(pool.gpus_per_engine(), "GPU"), plan_text(pool.engine.plan),
                        spec.group.policy.name));
    }
    for (const PoolSpec& pool : serving.deployment.pools) {
        const Startup& s = pool.startup;
        if (s.alone().ps == 0) continue;
        const auto seconds = [](SimDuration d) { return to_seconds(d).value(); };
        row("start-up of " + pool.name,
            fmt::format("{:.1f} s: {:.1f} GB a node read in {:.1f} s, converted in {:.1f} s, warm "
                        "in {:.1f} s",
                        seconds(s.alone()), s.node_bytes.value() / 1e9,
                        seconds(std::max(s.read, s.store)), seconds(s.convert),
                        seconds(s.warm_up)));
    }
    row("requests",
        fmt::format("{} arrived in {:.0f} s, {} finished in {:.0f} s", r.arrived,
                    to_seconds(r.last_arrival).value(), r.finished, to_seconds(r.end).value()));
    row("verdict", fmt::format("{}: {}", to_string(r.verdict), r.verdict_reason));
    return table;
}

ResultTable pool_table(const ServingResult& r) {
    ResultTable table{"pools",
                      "Pools",
                      {{"pool", ""},
                       {"iterations", ""},
                       {"busy_share", "1"},
                       {"prompt_share", "1"},
                       {"kv_tokens", ""},
                       {"kv_mean_share", "1"},
                       {"kv_peak_share", "1"},
                       {"engines_peak", ""}},
                      {}};
    for (const PoolResult& p : r.pools) {
        table.rows.push_back({p.name, p.iterations, p.busy_fraction, p.prompt_fraction, p.kv_tokens,
                              p.kv_mean, p.kv_peak, p.engines_peak});
    }
    return table;
}

ResultTable counts_table(const ServingResult& r) {
    ResultTable table{"requests", "Requests", {{"what", ""}, {"count", ""}}, {}};
    const std::pair<const char*, std::int64_t> rows[] = {
        {"arrived", r.arrived},
        {"finished", r.finished},
        {"turned away: longer than the KV cache", r.rejected_too_long},
        {"turned away: the queue was full", r.rejected_queue_full},
        {"lost after failures", r.lost},
        {"under way at the time limit", r.unfinished},
        {"failures of engines", r.failures},
        {"sent elsewhere after failures", r.retries},
        {"preemptions", r.preemptions},
        {"of them swapped to the host", r.swaps},
        {"of them recomputed: host memory was full", r.swaps_refused},
        {"trace lines skipped", r.skipped_lines},
        {"input tokens", r.prompt_tokens},
        {"prompt tokens computed", r.computed_prompt_tokens},
        {"output tokens", r.output_tokens},
        {"tokens loaded from lower tiers", r.moves.loaded},
        {"tokens written to lower tiers", r.moves.written},
        {"tokens swapped out and in", r.moves.swapped},
        {"iterations", r.iterations}};
    for (const auto& [what, count] : rows) {
        if (count > 0) table.rows.push_back({std::string(what), count});
    }
    return table;
}

// At most 64 rows: neighbours are averaged.
ResultTable timeline_table(const ServingResult& r) {
    ResultTable table{
        "over_time", "Over time", {{"from", "s"}, {"waiting", ""}, {"in_system", ""}}, {}};
    for (const PoolResult& p : r.pools) table.columns.push_back({p.name + " kv share", "1"});
    const auto mean_over = [](const std::vector<TimeSeries::Point>& points, double from,
                              double to) {
        double area = 0;
        for (const TimeSeries::Point& p : points) {
            const double begin = std::max(from, p.begin.value()), end = std::min(to, p.end.value());
            if (end > begin) area += p.mean * (end - begin);
        }
        return area / (to - from);
    };
    constexpr int kRows = 24;
    const double end = to_seconds(r.end).value();
    if (end <= 0) return table;
    for (int i = 0; i < kRows; ++i) {
        const double from = end * i / kRows, to = end * (i + 1) / kRows;
        std::vector<Cell> row = {from, mean_over(r.waiting, from, to),
                                 mean_over(r.in_system, from, to)};
        for (const PoolResult& p : r.pools) {
            row.emplace_back(p.kv_pages_total > 0 ? mean_over(p.kv_pages, from, to) /
                                                        static_cast<double>(p.kv_pages_total)
                                                  : 0.0);
        }
        table.rows.push_back(std::move(row));
    }
    return table;
}

void add_notes(RunResult& result, const ServingScenario& serving, const ServingResult& r) {
    if (r.verdict != Verdict::stable) {
        result.notes.push_back(fmt::format("{}: {}.", to_string(r.verdict), r.verdict_reason));
    }
    for (const std::string& missed : shortfalls(serving.promise, r)) {
        if (missed.starts_with(to_string(r.verdict))) continue;
        result.notes.push_back(fmt::format("The slo is missed: {}.", missed));
    }
    if (r.rejected_too_long > 0) {
        result.notes.push_back(fmt::format(
            "{} turned away: prompt and output do not fit into the KV cache of any attention "
            "group.",
            r.rejected_too_long == 1 ? "1 request was"
                                     : fmt::format("{} requests were", r.rejected_too_long)));
    }
    if (r.skipped_lines > 0) {
        result.notes.push_back(fmt::format("{} of the trace {} wrong and skipped.",
                                           counted(r.skipped_lines, "line"),
                                           r.skipped_lines == 1 ? "was" : "were"));
    }
    if (r.finished > 0) {
        result.notes.push_back(
            fmt::format("Percentiles are read from a sketch: within {:.2f} % of the exact value.",
                        100 * DurationSketch::kRelativeError));
    }
    for (const PolicyKind& kind : policy_kinds()) {
        std::string pools;
        for (const PoolSpec& pool : serving.deployment.pools) {
            if (pool.group.policy.name != kind.policy.name) continue;
            pools += fmt::format("{}{}", pools.empty() ? "" : ", ", pool.name);
        }
        if (pools.empty()) continue;
        result.notes.push_back(
            fmt::format("{} ({}) takes, but for what the scenario changes: {}. It leaves out: {}. "
                        "Rules and defaults from {}.",
                        kind.policy.name, pools, kind.takes, kind.leaves_out, kind.source));
    }
}

}  // namespace

RunResult serving_answer(const Scenario& scenario, ServingScenario& serving,
                         const ServingResult& simulated) {
    RunResult result;
    result.scenario = scenario.name;
    result.kind = scenario.kind;
    result.given = scenario.given;
    result.used = serving.used;
    Origin origin = Origin::measured;
    for (const auto& timer : serving.timers) {
        origin = weakest(origin, timer->weakest_origin());
        for (const SourceUsed& source : timer->sources()) {
            const auto same = [&](const SourceUsed& s) { return s.name == source.name; };
            if (std::none_of(result.sources.begin(), result.sources.end(), same)) {
                result.sources.push_back(source);
            }
        }
    }
    for (const SourceUsed& source : serving.sources) {
        result.sources.push_back(source);
        if (source.name != "price of a GPU and hour") origin = weakest(origin, source.from.origin);
    }
    add_times(result, "ttft", simulated.ttft, origin);
    add_times(result, "tpot", simulated.tpot, origin);
    add_times(result, "itl", simulated.itl, origin);
    add_times(result, "e2e", simulated.e2e, origin);
    add_rates(result, serving, simulated, origin);
    add_cache(result, simulated);
    result.published = scenario.published;
    result.changed = scenario.changed;
    result.breakdown = {setup_table(serving, simulated), pool_table(simulated),
                        counts_table(simulated), timeline_table(simulated)};
    result.notes = serving.notes;
    add_notes(result, serving, simulated);
    result.events = simulated.events;
    result.operators = simulated.iterations;
    result.ranks = result.ranks_simulated = serving.gpus();
    result.fingerprint = simulated.fingerprint;
    return result;
}

}  // namespace orrery
