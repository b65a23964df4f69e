#include "app/operator_check.hpp"

#include <ostream>

#include <fmt/format.h>

#include "report/json_writer.hpp"
#include "report/text_table.hpp"
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
        json.begin_array(true).value(to_string(f.precision)).value(f.tflops).value(f.edge);
        json.value(f.launch_us).value(f.wave_us).value(f.bandwidth_fraction).end_array();
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
        context.out << fmt::format(
            "{}[\"{}\", {:.1f}, {:.2f}, {:.3f}, {:.3f}, {:.3f}]  mean |log| error {:.4f}, now "
            "{:.4f}\n",
            &f == &check.fitted.front() ? "\nrows of table gemm_model as fitted\n" : "",
            to_string(f.precision), f.tflops, f.edge, f.launch_us, f.wave_us, f.bandwidth_fraction,
            f.error, f.error_now);
    }
}

}  // namespace orrery
