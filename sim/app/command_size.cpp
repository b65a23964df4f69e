// orrery size SCENARIO: how many nodes a workload needs under its slo; with --pareto, throughput
// against interactivity of one or more deployments.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/output.hpp"
#include "core/error.hpp"
#include "core/unit_text.hpp"
#include "report/input_hash.hpp"
#include "report/result_json.hpp"
#include "report/table_csv.hpp"
#include "report/text_table.hpp"
#include "study/pareto.hpp"
#include "study/size.hpp"

namespace orrery {
namespace {

struct SizeOptions {
    std::vector<std::filesystem::path> scenarios;
    std::vector<std::string> slo;
    bool pareto = false;
    SizeRequest request;
};

// "ttft_p99=2s" to "slo.ttft_p99=2 s": the scenario's keys, the space before the unit left out.
std::string slo_setting(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
        throw InputError(fmt::format("--slo {}: must be KEY=VALUE such as ttft=2s", text));
    }
    std::string value = text.substr(equals + 1);
    const std::size_t unit = value.find_first_not_of("0123456789.");
    if (unit != std::string::npos && unit > 0 && value[unit] != ' ') value.insert(unit, " ");
    return "slo." + text.substr(0, equals + 1) + value;
}

void write_files(const SizeAnswer& answer, const std::string& json, const CommandContext& context) {
    write_out(context, "result.json", json);
    for (const ResultTable& table : answer.result.breakdown) {
        if (table.name == "sizes") write_out(context, "size.csv", table_csv(table));
    }
    if (answer.best) write_out(context, "scenario.json", answer.result.used + "\n");
}

// What heads a column on a screen, which has less room than a file; empty: left out.
std::string heading(const std::string& name) {
    const std::pair<std::string_view, const char*> shorter[] = {
        {"gpus", "GPUs"},
        {"prompt_gpus", "for prompts"},
        {"user_rate", "a user"},
        {"gpu_rate", "a GPU"},
        {"deployment", ""},
        {"cost_per_hour", "per hour"},
        {"cost_per_million_output_tokens", "1M output"}};
    for (const auto& [full, text] : shorter) {
        if (full == name) return text;
    }
    return name;
}

bool on_screen(const std::string& name) {
    return !(name.ends_with("_mean") || name.ends_with("_p50") || name.ends_with("_p90") ||
             name.starts_with("itl_") || name.starts_with("e2e_"));
}

// The same with fewer columns and shorter headings.
ResultTable narrowed(const ResultTable& table) {
    ResultTable narrow{table.name, table.title, {}, {}};
    narrow.rows.resize(table.rows.size());
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const auto& [name, unit] = table.columns[c];
        if (!on_screen(name)) continue;
        narrow.columns.push_back({heading(name), unit});
        for (std::size_t r = 0; r < table.rows.size(); ++r) {
            narrow.rows[r].push_back(table.rows[r][c]);
        }
    }
    return narrow;
}

// Every table but `left_out`, the first one right below the title.
std::string render_tables(const RunResult& result, const char* left_out,
                          const TerminalStyle& style) {
    std::string text = toned(result.scenario, Tone::bold, style.color) + "\n";
    for (const ResultTable& table : result.breakdown) {
        if (table.name == left_out) continue;
        const std::string part = render_breakdown(narrowed(table), style);
        if (!part.empty()) text += (table.name == "setup" ? "" : "\n") + part;
    }
    return text;
}

// The answer, what was tried, and what the size that will do achieves.
std::string render(const SizeAnswer& answer, const TerminalStyle& style) {
    const RunResult& result = answer.result;
    std::string text = render_tables(result, "", style);
    if (answer.best) text += "\n" + render_metrics(result, style);
    text += render_notes(result, style) + render_sources(result, style);
    return text + fmt::format("\n  {} replayed in {}\n",
                              answer.tried.size() == 1
                                  ? "1 size"
                                  : fmt::format("{} sizes", answer.tried.size()),
                              format_quantity(result.wall_seconds, "s", 3));
}

void run(SizeOptions& options, CommandContext& context) {
    if (options.scenarios.size() > 1) {
        throw InputError(
            fmt::format("{}: one scenario is sized at a time; several go with "
                        "--pareto",
                        options.scenarios[1].string()));
    }
    check_out_dir(context);
    std::vector<std::string> sets = context.sets;
    for (const std::string& text : options.slo) sets.push_back(slo_setting(text));
    const Scenario scenario = load_scenario(options.scenarios.front(), sets);
    options.request.profiles = context.profile_dir(scenario.file);
    ProgressLine progress(context);
    options.request.progress = [&progress](const std::string& text) { progress.show(text); };
    SizeAnswer answer = size_scenario(scenario, options.request);
    answer.result.program = context.program;
    hash_inputs(answer.result);
    write_missing_shapes(context, answer.result.missing_shapes);
    progress.clear();
    const std::string json = result_json(answer.result);
    write_files(answer, json, context);
    if (context.format == OutputFormat::json) {
        context.out << json;
    } else {
        context.out << render(answer, terminal_style(context));
    }
    context.exit_code = answer.best ? 0 : 1;
}

void run_pareto(const SizeOptions& options, CommandContext& context) {
    if (!options.slo.empty() || options.request.every || !options.request.pools.empty()) {
        throw InputError("--pareto: goes without --slo, --pool and --every");
    }
    check_out_dir(context);
    std::vector<Scenario> scenarios;
    for (const auto& file : options.scenarios) {
        scenarios.push_back(load_scenario(file, context.sets));
    }
    ProgressLine progress(context);
    progress.show("pricing iterations ...");
    RunResult result = pareto_front(scenarios, context.profile_dir(scenarios.front().file)).result;
    result.program = context.program;
    hash_inputs(result);
    progress.clear();
    const std::string json = result_json(result);
    write_out(context, "result.json", json);
    for (const ResultTable& table : result.breakdown) {
        if (table.name == "points") write_out(context, "pareto.csv", table_csv(table));
    }
    if (context.format == OutputFormat::json) {
        context.out << json;
        return;
    }
    const TerminalStyle style = terminal_style(context);
    context.out << render_tables(result, "points", style);
    context.out << render_notes(result, style) << render_sources(result, style);
}

}  // namespace

void add_size_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "size", "Find the fewest nodes that hold a serving scenario's slo (exit code 1: none)");
    auto options = std::make_shared<SizeOptions>();
    command
        ->add_option("scenario", options->scenarios, "Scenario file, JSON; several with --pareto")
        ->required()
        ->type_name("SCENARIO");
    command
        ->add_option("--slo", options->slo,
                     "What must be kept: ttft=2s, tpot=50ms, e2e=60s of each request, "
                     "attainment=99% of them, ttft_p99=2s and the like (may be repeated)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option("--nodes", options->request.most_nodes, "At most so many nodes (64)")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000}))
        ->type_name("N");
    command
        ->add_option("--pool", options->request.pools,
                     "Engines to choose from in a pool, as prefill=1..8 or decode=2")
        ->type_name("POOL=LEAST..MOST")
        ->allow_extra_args(false)
        ->take_all();
    command->add_flag("--every", options->request.every,
                      "Replay every size up to the answer, take nothing for granted");
    command->add_flag("--pareto", options->pareto,
                      "Throughput against interactivity at a steady load, a point a batch limit");
    add_scenario_options(*command, context);
    command->callback([options, &context] {
        options->pareto ? run_pareto(*options, context) : run(*options, context);
    });
}

}  // namespace orrery
