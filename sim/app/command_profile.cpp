// orrery profile: what a hardware profile holds and where each number came from.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/profile_answer.hpp"

namespace orrery {
namespace {

void print_list(const CommandContext& context) {
    const auto names = list_profiles(context.profile_dir());
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_array();
        for (const ProfileName& p : names) {
            json.begin_object().field("kind", p.kind).field("name", p.name);
            json.field("title", p.title).end_object();
        }
        context.out << json.end_array().text();
        return;
    }
    TextTable table({{"kind"}, {"name"}, {"title", Align::left, true}});
    for (const ProfileName& p : names) table.add_row({p.kind, p.name, p.title});
    context.out << table.render(context.width(), context.use_color());
}

void print_profile(const std::string& name, const CommandContext& context) {
    const ProfileAnswer answer = answer_profile(name, context.profile_dir());
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_object().field("profile", answer.name).field("kind", answer.kind);
        json.field("title", answer.title);
        if (!answer.accelerator.empty()) json.field("accelerator", answer.accelerator);
        json.key("entries").begin_array();
        for (const ProfileEntry& e : answer.entries) {
            json.begin_object().field("name", e.name).field("value", e.value);
            json.field("origin", to_string(e.from.origin)).field("source", e.from.source);
            json.end_object();
        }
        context.out << json.end_array().end_object().text();
        return;
    }
    context.out << fmt::format("{} {}: {}\n", answer.kind, answer.name, answer.title);
    if (!answer.accelerator.empty()) {
        context.out << fmt::format("accelerator {} (orrery profile {})\n", answer.accelerator,
                                   answer.accelerator);
    }
    TextTable table({{"what"}, {"value"}, {"origin"}, {"source", Align::left, true}});
    for (const ProfileEntry& e : answer.entries) {
        const Tone tone = e.from.origin == Origin::assumed ? Tone::warn : Tone::plain;
        table.add_row({e.name, e.value, std::string(to_string(e.from.origin)), e.from.source},
                      tone);
    }
    context.out << '\n' << table.render(context.width(), context.use_color());
    if (!context.quiet) context.out << "\nsources in full: --format json\n";
}

}  // namespace

void add_profile_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "profile", "What a hardware profile holds and where each number came from");
    auto name = std::make_shared<std::string>();
    command->add_option("name", *name, "A profile's name or file, or \"list\"")->required();
    command->callback([name, &context] {
        if (*name == "list") {
            print_list(context);
        } else {
            print_profile(*name, context);
        }
    });
}

}  // namespace orrery
