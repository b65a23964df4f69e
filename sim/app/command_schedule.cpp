// orrery schedule: lists, times, checks, draws, exports and imports pipeline schedules.

#include <algorithm>
#include <array>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "core/config.hpp"
#include "core/error.hpp"
#include "report/atomic_file.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/schedule_answer.hpp"

namespace orrery {
namespace {

struct ScheduleOptions {
    std::string name;  // a schedule, or "list"; empty with --import
    std::optional<int> ranks, micro_batches, chunks, curve_rank;
    std::string cost = "F=1,B=1,W=1";
    bool draw = false;
    bool check = false;
    std::string export_file, import_file;
};

void print_list(const CommandContext& context) {
    if (context.format == OutputFormat::json) {
        JsonWriter json;
        json.begin_array();
        for (const ScheduleKind& kind : schedule_kinds()) {
            json.begin_object().field("name", kind.name).field("summary", kind.summary);
            json.field("shapes", kind.shapes).end_object();
        }
        context.out << json.end_array().text();
        return;
    }
    for (const ScheduleKind& kind : schedule_kinds()) {
        context.out << fmt::format("{:<17} {}\n{:<17} takes {}\n", kind.name, kind.summary, "",
                                   kind.shapes);
    }
}

ScheduleAnswer make_answer(const ScheduleOptions& options) {
    const PassCosts costs = parse_pass_costs(options.cost);
    if (options.import_file.empty()) {
        if (options.name.empty()) {
            throw InputError("schedule: name one, or \"list\", or --import FILE");
        }
        if (!options.ranks) throw InputError("--pp: is required: the number of pipeline ranks");
        if (!options.micro_batches) throw InputError("--micro-batches: is required");
        if (options.chunks && *options.chunks < 1) {
            throw InputError(fmt::format("--chunks {}: must be >= 1", *options.chunks));
        }
        return answer_schedule(options.name,
                               {.ranks = *options.ranks,
                                .micro_batches = *options.micro_batches,
                                .chunks = options.chunks.value_or(0)},
                               costs);
    }
    if (!options.name.empty() || options.ranks || options.micro_batches || options.chunks) {
        throw InputError(
            "--import: the file says what the schedule is: no name, --pp, --micro-batches or "
            "--chunks beside it");
    }
    return answer_schedule_file(read_text_file(options.import_file, "a CSV file"),
                                options.import_file, costs);
}

std::vector<InFlightPoint> curve_of(const ScheduleAnswer& answer, int rank) {
    if (rank < 0 || rank >= answer.schedule.ranks) {
        throw InputError(
            fmt::format("--curve {}: must be a rank below {}", rank, answer.schedule.ranks));
    }
    return in_flight_curve(answer.schedule, answer.timing, rank);
}

template <class T>
void json_list(JsonWriter& json, std::string_view key, const std::vector<T>& values) {
    json.key(key).begin_array(true);
    for (const T& value : values) json.value(value);
    json.end_array();
}

void print_json(const ScheduleAnswer& answer, const ScheduleOptions& options,
                const CommandContext& context) {
    const PipelineSchedule& schedule = answer.schedule;
    JsonWriter json;
    json.begin_object().field("schedule", schedule.name).field("ranks", schedule.ranks);
    json.field("stages", schedule.stages).field("micro_batches", schedule.micro_batches);
    json.field("legal", true);
    json.key("cost").begin_object().field("F", answer.costs.forward);
    json.field("B", answer.costs.backward_input).field("W", answer.costs.backward_weight);
    json.field("FB", answer.costs.forward_backward).end_object();
    json.field("makespan", answer.timing.makespan);
    json_list(json, "bubble", answer.timing.bubble);
    json_list(json, "in_flight", answer.timing.in_flight);
    json_list(json, "in_flight_until_input", answer.timing.in_flight_until_input);
    json.key("closed_form");
    if (answer.closed_form) {
        json.begin_object().field("bubble", *answer.closed_form);
        json.field("formula", answer.closed_form_text).end_object();
    } else {
        json.null();
    }
    if (options.curve_rank) {
        json.key("in_flight_curve").begin_array();
        for (const InFlightPoint& point : curve_of(answer, *options.curve_rank)) {
            json.begin_array(true).value(point.time).value(point.in_flight).end_array();
        }
        json.end_array();
    }
    if (options.draw) json.field("picture", schedule_picture(answer, false));
    context.out << json.end_object().text();
}

// Counts of F, F&B, B, I and W in one rank's list.
std::array<int, 5> pass_counts(const std::vector<Action>& actions) {
    std::array<int, 5> counts{};
    for (const Action& action : actions) {
        switch (action.kind) {
            case ActionKind::forward:
                ++counts[0];
                break;
            case ActionKind::forward_backward:
                ++counts[1];
                break;
            case ActionKind::backward:
                ++counts[2];
                break;
            case ActionKind::backward_input:
                ++counts[3];
                break;
            case ActionKind::backward_weight:
                ++counts[4];
                break;
        }
    }
    return counts;
}

std::string rank_table(const ScheduleAnswer& answer, const CommandContext& context) {
    const ScheduleTiming& timing = answer.timing;
    TextTable table({{"rank", Align::right},
                     {"busy", Align::right},
                     {"bubble", Align::right},
                     {"in flight", Align::right},
                     {"F", Align::right},
                     {"F&B", Align::right},
                     {"B", Align::right},
                     {"I", Align::right},
                     {"W", Align::right}});
    for (std::size_t rank = 0; rank < timing.busy.size(); ++rank) {
        std::vector<std::string> row{
            fmt::format("{}", rank), fmt::format("{:.10g}", timing.busy[rank]),
            fmt::format("{:.10g}", timing.bubble[rank]), fmt::format("{}", timing.in_flight[rank])};
        for (const int count : pass_counts(answer.schedule.actions[rank])) {
            row.push_back(fmt::format("{}", count));
        }
        table.add_row(std::move(row));
    }
    return table.render(context.width(), context.use_color());
}

void print_text(const ScheduleAnswer& answer, const ScheduleOptions& options,
                const CommandContext& context) {
    const PipelineSchedule& schedule = answer.schedule;
    const PassCosts& costs = answer.costs;
    std::ostream& out = context.out;
    out << fmt::format("{}: {} ranks, {} stages, {} micro-batches{}; legal\n", schedule.name,
                       schedule.ranks, schedule.stages, schedule.micro_batches,
                       schedule.directions() == 2 ? " (half in each direction)" : "");
    if (options.check) return;
    out << fmt::format(
        "costs per chunk: F {:.10g}, input gradient I {:.10g}, W {:.10g}, full backward B = "
        "I + W {:.10g}, overlapped pair F&B {:.10g}\n",
        costs.forward, costs.backward_input, costs.backward_weight,
        costs.backward_input + costs.backward_weight, costs.forward_backward);
    out << fmt::format("makespan {:.10g}, bubble on the worst rank {:.10g}", answer.timing.makespan,
                       answer.worst_bubble);
    if (answer.closed_form) {
        out << fmt::format(", published form {} = {:.10g} (exact at F = I = W)",
                           answer.closed_form_text, *answer.closed_form);
    }
    out << "\n\n" << rank_table(answer, context);
    if (options.curve_rank) {
        out << fmt::format("\nactivations in flight on rank {}, from time on\n",
                           *options.curve_rank);
        for (const InFlightPoint& point : curve_of(answer, *options.curve_rank)) {
            out << fmt::format("  {:>10.10g} {:>6}\n", point.time, point.in_flight);
        }
    }
    if (options.draw) out << '\n' << schedule_picture(answer, context.use_color());
}

void run_schedule(const ScheduleOptions& options, const CommandContext& context) {
    if (options.name == "list") return print_list(context);
    const ScheduleAnswer answer = make_answer(options);
    if (options.curve_rank) curve_of(answer, *options.curve_rank);  // refuses before writing
    if (!options.export_file.empty()) {
        write_file(options.export_file, schedule_file_text(answer));
    }
    if (context.format == OutputFormat::json) {
        print_json(answer, options, context);
    } else {
        print_text(answer, options, context);
    }
}

}  // namespace

void add_schedule_command(CLI::App& app, CommandContext& context) {
    auto options = std::make_shared<ScheduleOptions>();
    CLI::App* command =
        app.add_subcommand("schedule", "List, time, check, draw and export pipeline schedules");
    command->add_option("name", options->name, "A schedule, or \"list\"")->type_name("NAME");
    command->add_option("--pp", options->ranks, "Pipeline ranks")->type_name("P");
    command
        ->add_option("--micro-batches", options->micro_batches,
                     "Micro-batches of a step, both directions together")
        ->type_name("M");
    command->add_option("--chunks", options->chunks, "Chunks a rank holds")->type_name("V");
    command
        ->add_option("--cost", options->cost,
                     "Durations per chunk, F=1,B=1,W=1,FB=2.5: B the input-gradient pass, FB an "
                     "overlapped pair (default F + B + W)")
        ->type_name("COSTS");
    command->add_flag("--draw", options->draw, "Draw it: a row a rank, time to the right");
    command->add_flag("--check", options->check, "Only say whether it is legal");
    command->add_option("--curve", options->curve_rank, "Activations in flight over time of a rank")
        ->type_name("RANK");
    command->add_option("--export", options->export_file, "Write it as PyTorch's schedule CSV")
        ->type_name("FILE");
    command->add_option("--import", options->import_file, "Read PyTorch's schedule CSV")
        ->type_name("FILE");
    command->callback([options, &context] { run_schedule(*options, context); });
}

}  // namespace orrery
