#include "app/operator_check.hpp"

#include <ostream>

#include <fmt/format.h>

#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/held_out.hpp"
#include "study/operator_answer.hpp"

namespace orrery {
namespace {

std::string percent(double value) { return fmt::format("{:.1f} %", 100 * value); }

void print_json(const TableCheck& check, const CommandContext& context) {
    JsonWriter json;
    json.begin_object().key("tables").begin_array();
    for (const TableError& t : check.tables) {
        json.begin_object().field("table", t.table).field("origin", to_string(t.from.origin));
        json.field("points", t.errors.points).field("median", t.errors.median);
        json.field("p95", t.errors.p95).field("worst", t.errors.worst).end_object();
    }
    json.end_array().key("cross_check").begin_array();
    for (const CrossCheck& c : check.cross) {
        json.begin_object().field("m", c.gemm.m).field("n", c.gemm.n).field("k", c.gemm.k);
        json.field("predicted", c.predicted).field("published", c.published).end_object();
    }
    json.end_array().key("gemm_model").begin_array();
    for (const FittedRow& f : check.fitted) {
        json.begin_array(true).value(to_string(f.precision));
        for (const auto& [column, value] : f.constants) json.value(value);
        json.end_array();
    }
    context.out << json.end_array().end_object().text();
}

}  // namespace

void print_table_check(const std::string& profile, bool fit, const CommandContext& context) {
    const TableCheck check = check_tables(profile, context.profile_dir(), fit);
    if (context.format == OutputFormat::json) return print_json(check, context);
    context.out << profile << ": every point as predicted from the others\n\n";
    TextTable table({{"table", Align::left, true},
                     {"origin"},
                     {"points", Align::right},
                     {"median", Align::right},
                     {"95 %", Align::right},
                     {"worst", Align::right}});
    for (const TableError& t : check.tables) {
        if (t.errors.points == 0) continue;
        table.add_row({t.table, std::string(to_string(t.from.origin)),
                       fmt::format("{}", t.errors.points), percent(t.errors.median),
                       percent(t.errors.p95), percent(t.errors.worst)});
    }
    context.out << table.render(context.width(), context.use_color());
    if (!check.cross.empty()) {
        context.out
            << "\nFP8 block-scaled GEMMs beside published rates of another library (never a "
               "price)\n\n";
        TextTable cross({{"m", Align::right},
                         {"n", Align::right},
                         {"k", Align::right},
                         {"predicted TFLOP/s", Align::right},
                         {"published", Align::right},
                         {"difference", Align::right}});
        for (const CrossCheck& c : check.cross) {
            cross.add_row({fmt::format("{}", c.gemm.m), fmt::format("{}", c.gemm.n),
                           fmt::format("{}", c.gemm.k), fmt::format("{:.0f}", c.predicted / 1e12),
                           fmt::format("{:.0f}", c.published / 1e12),
                           fmt::format("{:+.1f} %", 100 * (c.predicted / c.published - 1))});
        }
        context.out << cross.render(context.width(), context.use_color());
    }
    for (const FittedRow& f : check.fitted) {
        if (&f == &check.fitted.front()) {
            context.out << "\nrows of table gemm_model as fitted\n";
            std::string names = "precision";
            for (const auto& [column, value] : f.constants) names += ", " + column;
            context.out << names << "\n";
        }
        std::string row;
        for (const auto& [column, value] : f.constants) row += fmt::format(", {:.5g}", value);
        context.out << fmt::format("[\"{}\"{}]  mean |log| error {:.4f}, now {:.4f}\n",
                                   to_string(f.precision), row, f.error, f.error_now);
    }
}

void print_held_out(const std::string& profile, const std::string& file,
                    const CommandContext& context) {
    const HeldOutCheck check = check_held_out(profile, context.profile_dir(), file);
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_object().field("profile", profile).field("device", check.device);
        json.field("date", check.date).key("classes").begin_array();
        for (const HeldOutClass& c : check.classes) {
            json.begin_object().field("class", c.name).field("shapes", c.errors.points);
            json.field("median", c.errors.median).field("p95", c.errors.p95);
            json.field("mean", c.mean).field("within_10_percent", c.share);
            json.field("worst", c.worst).field("worst_shape", c.worst_shape).end_object();
        }
        context.out << json.end_array().end_object().text();
        return;
    }
    context.out << fmt::format(
        "# Held-out shapes: {}\n\n"
        "Prices of profile {} beside measurements on {}, {}, of shapes\nthat no price is read "
        "from. Error: priced over measured, less one. Aim: median 3 %, 95 % of the shapes\nwithin "
        "10 %.\n\n"
        "| class | shapes | median | 95 % | within 10 % | mean | worst | its shape |\n"
        "|---|--:|--:|--:|--:|--:|--:|---|\n",
        profile, profile, check.device, check.date);
    for (const HeldOutClass& c : check.classes) {
        context.out << fmt::format(
            "| {} | {} | {} | {} | {:.0f} % | {:+.1f} % | {:+.1f} % | {} |\n", c.name,
            c.errors.points, percent(c.errors.median), percent(c.errors.p95), 100 * c.share,
            100 * c.mean, 100 * c.worst, c.worst_shape);
    }
}

}  // namespace orrery
