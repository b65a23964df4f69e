// orrery claims [NAME]: what was published or claimed about serving DeepSeek-V3, beside our
// figures.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/output.hpp"
#include "report/json_writer.hpp"
#include "report/result_json.hpp"
#include "report/terminal.hpp"
#include "report/text_table.hpp"
#include "study/serving_claims.hpp"

namespace orrery {
namespace {

std::string paragraph(const std::string& text, const CommandContext& context) {
    std::string result;
    for (const std::string& line : wrapped(text, static_cast<std::size_t>(context.width()))) {
        result += line + "\n";
    }
    return result;
}

struct ClaimsOptions {
    std::string name;
    std::optional<std::filesystem::path> cases;
};

void print_list(const CommandContext& context) {
    TextTable table({{"name", Align::left}, {"claim", Align::left, true}});
    for (const ClaimKind& kind : claim_kinds()) table.add_row({kind.name, kind.title});
    context.out << table.render(context.width(), context.use_color())
                << "\n  orrery claims NAME prints one, orrery claims all every one.\n";
}

void json_claim(JsonWriter& json, const ClaimAnswer& answer) {
    json.begin_object().field("name", answer.name).field("claim", answer.claim);
    json.field("verdict", answer.verdict);
    write_table(json, answer.table);
    json.end_object();
}

void claims(const ClaimsOptions& options, CommandContext& context) {
    if (options.name.empty()) {
        print_list(context);
        return;
    }
    ProgressLine progress(context);
    const auto cases = options.cases.value_or(validation_cases() / "serving");
    ClaimRequest request{cases, context.profile_dir(cases)};
    std::vector<ClaimAnswer> answers;
    for (const ClaimKind& kind : claim_kinds()) {
        if (options.name == "all" || options.name == kind.name) {
            progress.show(fmt::format("claim {} ...", kind.name));
            request.progress = [&](const std::string& what) {
                progress.show(fmt::format("claim {}: {} ...", kind.name, what));
            };
            answers.push_back(kind.answer(request));
        }
    }
    progress.clear();
    if (answers.empty()) find_claim(options.name);
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_array();
        for (const ClaimAnswer& answer : answers) json_claim(json, answer);
        context.out << json.end_array().text();
        return;
    }
    const char* separator = "";
    for (const ClaimAnswer& answer : answers) {
        context.out << separator << paragraph("Claim: " + answer.claim, context) << "\n"
                    << render_breakdown(answer.table, terminal_style(context)) << "\n"
                    << paragraph(answer.verdict, context);
        separator = "\n";
    }
}

}  // namespace

void add_claims_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "claims", "What was published or claimed about serving DeepSeek-V3, beside our figures");
    auto options = std::make_shared<ClaimsOptions>();
    std::string names;
    for (const ClaimKind& kind : claim_kinds()) names += fmt::format("{}, ", kind.name);
    command->add_option("name", options->name, names + "or all; without a name, what each claims")
        ->type_name("NAME");
    command
        ->add_option(
            "--cases", options->cases,
            "Directory of the engines' cases (default: scenarios/validation/serving, here or "
            "above)")
        ->type_name("DIR");
    command->callback([options, &context] { claims(*options, context); });
}

}  // namespace orrery
