// orrery claims [NAME]: what was published or claimed about serving DeepSeek-V3, beside our
// figures.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/output.hpp"
#include "report/json_writer.hpp"
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
    std::filesystem::path cases = "scenarios/validation/serving";
};

void print_list(const CommandContext& context) {
    TextTable table({{"name", Align::left}, {"claim", Align::left, true}});
    for (const ClaimKind& kind : claim_kinds()) table.add_row({kind.name, kind.title});
    context.out << table.render(context.width(), context.use_color())
                << "\n  orrery claims NAME prints one, orrery claims all every one.\n";
}

void json_cell(JsonWriter& json, const Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) {
        json.value(*text);
    } else if (const auto* number = std::get_if<double>(&cell)) {
        json.value(*number);
    } else if (const auto* count = std::get_if<std::int64_t>(&cell)) {
        json.value(*count);
    } else {
        json.null();
    }
}

void json_claim(JsonWriter& json, const ClaimAnswer& answer) {
    json.begin_object().field("name", answer.name).field("claim", answer.claim);
    json.field("verdict", answer.verdict).key("columns").begin_array();
    for (const ResultColumn& column : answer.table.columns) {
        json.begin_object().field("name", column.name).field("unit", column.unit).end_object();
    }
    json.end_array().key("rows").begin_array();
    for (const auto& row : answer.table.rows) {
        json.begin_array();
        for (const Cell& cell : row) json_cell(json, cell);
        json.end_array();
    }
    json.end_array().end_object();
}

void claims(const ClaimsOptions& options, CommandContext& context) {
    if (options.name.empty()) {
        print_list(context);
        return;
    }
    const ClaimRequest request{options.cases, context.profile_dir(options.cases)};
    std::vector<ClaimAnswer> answers;
    for (const ClaimKind& kind : claim_kinds()) {
        if (options.name == "all" || options.name == kind.name) {
            answers.push_back(kind.answer(request));
        }
    }
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
    command->add_option("name", options->name, "One of the claims, or all; none lists them")
        ->type_name("NAME");
    command
        ->add_option("--cases", options->cases,
                     "Directory of the engines' cases (default scenarios/validation/serving)")
        ->type_name("DIR");
    command->callback([options, &context] { claims(*options, context); });
}

}  // namespace orrery
