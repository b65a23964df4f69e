// orrery compare SCENARIO --over key=v1,v2: cases side by side.
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "app/command.hpp"
#include "app/output.hpp"
#include "report/compare_table.hpp"
#include "report/input_hash.hpp"
#include "study/compare.hpp"

namespace orrery {
namespace {

struct CompareOptions {
    std::filesystem::path scenario;
    std::vector<std::string> over;
};

std::string progress_text(const std::vector<ComparedCase>& cases, std::size_t i) {
    std::string text = std::to_string(i + 1) + "/" + std::to_string(cases.size());
    for (const auto& [key, value] : cases[i].settings) text += "  " + key + "=" + value;
    return text;
}

void compare(const CompareOptions& options, CommandContext& context) {
    check_out_dir(context);
    std::vector<ComparedCase> cases = expand_cases(options.over);
    RunRequest request;
    request.profiles = context.profile_dir(options.scenario);
    ProgressLine progress(context);
    run_cases(cases, options.scenario, context.sets, request,
              [&](std::size_t i) { progress.show(progress_text(cases, i)); });
    progress.clear();

    std::vector<std::string> missing;
    for (const ComparedCase& one : cases) {
        const auto& more = one.result ? one.result->missing_shapes : one.missing_shapes;
        missing.insert(missing.end(), more.begin(), more.end());
    }
    write_missing_shapes(context, missing);
    std::vector<CompareColumn> columns;
    std::string name = options.scenario.string();
    for (ComparedCase& one : cases) {
        if (one.result) {
            one.result->program = context.program;
            hash_inputs(*one.result);
            name = one.result->scenario;
        }
        columns.push_back({one.settings, one.result ? &*one.result : nullptr, one.impossible});
    }
    const std::string json = comparison_json(name, columns);
    write_out(context, "compare.json", json);
    write_out(context, "compare.csv", comparison_csv(columns));
    if (context.format == OutputFormat::json) {
        context.out << json;
    } else {
        context.out << render_comparison(name, columns, terminal_style(context));
    }
}

}  // namespace

void add_compare_command(CLI::App& app, CommandContext& context) {
    CLI::App* command =
        app.add_subcommand("compare", "Run a scenario with different settings, side by side");
    auto options = std::make_shared<CompareOptions>();
    command->add_option("scenario", options->scenario, "Scenario file, JSON")
        ->required()
        ->type_name("SCENARIO");
    command
        ->add_option(
            "--over", options->over,
            "Values of one key, as plan.schedule=1f1b,dualpipe; more than one --over gives "
            "every combination")
        ->required()
        ->type_name("KEY=V1,V2,...")
        ->allow_extra_args(false)
        ->take_all();
    add_scenario_options(*command, context);
    command->callback([options, &context] { compare(*options, context); });
}

}  // namespace orrery
