// orrery validate [FILTER]: predictions beside what others published.
#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/output.hpp"
#include "core/error.hpp"
#include "report/validation_table.hpp"
#include "study/run.hpp"
#include "study/validate.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

struct ValidateOptions {
    std::string filter;
    std::optional<fs::path> cases;
    std::optional<fs::path> bounds;
};

ValidationReportCase run_case(const ValidationCase& which, const ValidationBounds& bounds,
                              const CommandContext& context) {
    ValidationReportCase report{.name = which.name};
    try {
        RunRequest request;
        request.profiles = context.profile_dir(which.file);
        report.result = run_scenario(load_scenario(which.file, context.sets), request).result;
    } catch (const InputError& e) {
        report.failed = e.what();
    } catch (const SimulationError& e) {
        report.failed = e.what();
    }
    for (const PublishedFigure& figure : report.result.published) {
        report.bounds.push_back(bound_of(bounds, which.name, figure.metric));
    }
    return report;
}

void validate(const ValidateOptions& options, CommandContext& context) {
    check_out_dir(context);
    if (options.bounds && !context.sets.empty()) {
        throw InputError(
            fmt::format("--bounds {}: must not stand beside --set: published figures "
                        "describe the cases as shipped",
                        options.bounds->string()));
    }
    const ValidationBounds bounds =
        options.bounds ? load_bounds(*options.bounds) : ValidationBounds();
    const auto cases =
        find_validation_cases(options.cases ? *options.cases : validation_cases(), options.filter);
    std::vector<ValidationReportCase> reports;
    ProgressLine progress(context);
    for (const ValidationCase& which : cases) {
        progress.show(std::to_string(reports.size() + 1) + "/" + std::to_string(cases.size()) +
                      "  " + which.name);
        reports.push_back(run_case(which, bounds, context));
    }
    progress.clear();
    // Nothing but failures: the input is wrong, not a prediction.
    if (std::all_of(reports.begin(), reports.end(),
                    [](const ValidationReportCase& report) { return !report.failed.empty(); })) {
        throw InputError(reports.front().failed);
    }
    const std::string json = validation_json(reports);
    write_out(context, "validation.json", json);
    if (context.format == OutputFormat::json) {
        context.out << json;
    } else {
        context.out << render_validation(reports, terminal_style(context));
    }
    context.exit_code = validation_passes(reports) ? 0 : 1;
}

}  // namespace

void add_validate_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "validate", "Print published figures, predictions and errors, case by case");
    auto options = std::make_shared<ValidateOptions>();
    command->add_option("filter", options->filter, "Only cases whose name contains this")
        ->type_name("FILTER");
    command
        ->add_option("--cases", options->cases,
                     "Directory of cases (default: scenarios/validation, here or above)")
        ->type_name("DIR");
    command
        ->add_option("--bounds", options->bounds,
                     "Largest allowed errors; past one of them the exit code is 1")
        ->type_name("FILE");
    add_scenario_options(*command, context);
    command->callback([options, &context] { validate(*options, context); });
}

}  // namespace orrery
