// orrery profile: what a hardware profile holds and where each number came from.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/command.hpp"
#include "core/error.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/profile_answer.hpp"
#include "study/profile_diff.hpp"

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
        json.end_array().key("missing_tables").begin_array();
        for (const std::string& family : answer.missing) json.value(family);
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
    if (!answer.missing.empty()) {
        context.out << fmt::format("\nno tables: {}\n", fmt::join(answer.missing, ", "));
    }
    if (!context.quiet) context.out << "\nsources in full: --format json\n";
}

std::string ratio_text(double ratio) { return ratio > 0 ? fmt::format("{:.3f}", ratio) : ""; }

void print_diff_json(const ProfileDiff& diff, const CommandContext& context) {
    JsonWriter json;
    json.begin_object().field("a", diff.a).field("b", diff.b);
    json.key("numbers").begin_array();
    for (const NumberDiff& n : diff.numbers) {
        json.begin_object().field("name", n.name);
        for (const auto& [key, entry] : {std::pair{"a", &n.a}, {"b", &n.b}}) {
            json.key(key).begin_object().field("value", entry->value);
            json.field("origin", to_string(entry->from.origin));
            json.field("source", entry->from.source).end_object();
        }
        json.field("ratio", n.ratio).end_object();
    }
    json.end_array().key("families").begin_array();
    for (const FamilyDiff& f : diff.families) {
        json.begin_object().field("family", f.family).field("compared", f.value);
        json.field("matched", f.matched).field("only_a", f.only_a).field("only_b", f.only_b);
        json.field("ratio_median", f.median).field("ratio_least", f.least);
        json.field("ratio_most", f.most).field("farthest", f.farthest).end_object();
    }
    context.out << json.end_array().end_object().text();
}

void print_diff(const std::string& a, const std::string& b, const CommandContext& context) {
    const ProfileDiff diff = diff_profiles(a, b, context.profile_dir());
    if (context.format == OutputFormat::json) return print_diff_json(diff, context);
    context.out << fmt::format("a = {}, b = {}; ratios are b / a\n\n", diff.a, diff.b);
    TextTable numbers({{"number"},
                       {"a", Align::right},
                       {"origin"},
                       {"b", Align::right},
                       {"origin"},
                       {"ratio", Align::right}});
    const auto origin = [](const ProfileEntry& e) {
        return e.value.empty() ? std::string() : std::string(to_string(e.from.origin));
    };
    for (const NumberDiff& n : diff.numbers) {
        numbers.add_row(
            {n.name, n.a.value, origin(n.a), n.b.value, origin(n.b), ratio_text(n.ratio)});
    }
    TextTable tables({{"table"},
                      {"same shapes", Align::right},
                      {"only a", Align::right},
                      {"only b", Align::right},
                      {"compared"},
                      {"median", Align::right},
                      {"least", Align::right},
                      {"most", Align::right},
                      {"farthest from 1", Align::left, true}});
    for (const FamilyDiff& f : diff.families) {
        tables.add_row({f.family, std::to_string(f.matched), std::to_string(f.only_a),
                        std::to_string(f.only_b), f.value, ratio_text(f.median),
                        ratio_text(f.least), ratio_text(f.most), f.farthest});
    }
    context.out << numbers.render(context.width(), context.use_color()) << '\n'
                << tables.render(context.width(), context.use_color());
}

}  // namespace

void add_profile_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "profile", "What a hardware profile holds and where each number came from");
    auto names = std::make_shared<std::vector<std::string>>();
    command
        ->add_option("name", *names,
                     "A profile's name or file; or \"list\"; or \"diff\" and two accelerators")
        ->required()
        ->expected(1, 3);
    command->callback([names, &context] {
        const std::string& first = names->front();
        if (first == "diff") {
            if (names->size() != 3) throw InputError("profile diff: needs two accelerators");
            print_diff(names->at(1), names->at(2), context);
            return;
        }
        if (names->size() > 1) {
            throw InputError(fmt::format("profile {}: takes one name", first));
        }
        if (first == "list") {
            print_list(context);
        } else {
            print_profile(first, context);
        }
    });
}

}  // namespace orrery
