// orrery run SCENARIO: one scenario to its answer.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "app/command.hpp"
#include "app/output.hpp"
#include "core/missing_shapes.hpp"
#include "core/unit_text.hpp"
#include "report/input_hash.hpp"
#include "report/result_json.hpp"
#include "report/timeline.hpp"
#include "study/run.hpp"

namespace orrery {
namespace {

struct RunOptions {
    std::filesystem::path scenario;
    std::optional<std::filesystem::path> trace;
    std::vector<std::int64_t> trace_ranks;
    bool trace_all = false;
    bool skip_bad_lines = false;
};

RunRequest request_of(const RunOptions& options, const CommandContext& context) {
    RunRequest request;
    request.profiles = context.profile_dir(options.scenario);
    request.trace = options.trace.has_value();
    request.trace_ranks = options.trace_ranks;
    request.trace_whole_step = options.trace_all;
    if (!options.trace && (options.trace_all || !options.trace_ranks.empty())) {
        throw InputError("--trace-ranks and --trace-all: need --trace FILE");
    }
    return request;
}

// What had no price is listed also where the run ends there.
RunOutcome simulate(const Scenario& scenario, const RunRequest& request,
                    const CommandContext& context) {
    try {
        RunOutcome outcome = run_scenario(scenario, request);
        write_missing_shapes(context, outcome.result.missing_shapes);
        return outcome;
    } catch (const MissingShapesError& e) {
        write_missing_shapes(context, e.shapes);
        if (context.missing) throw;
        throw InputError(std::string(e.what()) + "; --missing-shapes FILE lists what to measure");
    }
}

void run(const RunOptions& options, CommandContext& context) {
    RunRequest request = request_of(options, context);
    check_out_dir(context);
    std::vector<std::string> sets = context.sets;
    if (options.skip_bad_lines) sets.emplace_back("workload.skip_bad_lines=true");
    const Scenario scenario = load_scenario(options.scenario, sets);
    ProgressLine progress(context);
    progress.show("simulating " + scenario.name + " ...");
    request.progress = [&progress](Seconds now) {
        progress.show("simulated " + to_text(now, 3) + " ...");
    };
    RunOutcome outcome = simulate(scenario, request, context);
    outcome.result.program = context.program;
    hash_inputs(outcome.result);
    progress.clear();

    const std::string json = result_json(outcome.result);
    if (options.trace) {
        progress.show("writing the timeline ...");
        write_timeline(outcome.timeline, *options.trace);
        progress.clear();
        tell_written(context, *options.trace);
    }
    write_out(context, "result.json", json);
    if (context.format == OutputFormat::json) {
        context.out << json;
    } else {
        context.out << render_answer(outcome.result, terminal_style(context));
    }
}

}  // namespace

void add_run_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand("run", "Simulate a scenario and print its answer");
    auto options = std::make_shared<RunOptions>();
    command->add_option("scenario", options->scenario, "Scenario file, JSON")
        ->required()
        ->type_name("SCENARIO");
    command->add_option("--trace", options->trace, "Write a timeline for Perfetto")
        ->type_name("FILE");
    command->add_option("--trace-ranks", options->trace_ranks, "Ranks on the timeline (default 0)")
        ->delimiter(',')
        ->type_name("RANK,...");
    command->add_flag("--trace-all", options->trace_all,
                      "Every micro-batch on the timeline, not the first and the last only");
    command->add_flag("--skip-bad-lines", options->skip_bad_lines,
                      "Serving: pass over wrong lines of the trace, and count them");
    add_scenario_options(*command, context);
    command->callback([options, &context] { run(*options, context); });
}

}  // namespace orrery
