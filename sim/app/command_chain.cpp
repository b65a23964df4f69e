// orrery chain FILE: a training step from its ideal to all that is modelled, one mechanism a row.

#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/command.hpp"
#include "app/output.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"
#include "study/chain.hpp"

namespace orrery {
namespace {

struct Column {
    const char* key;
    const char* heading;
    double ChainRow::*value;
    bool milliseconds = false;
    bool printed = true;  // in text; all are in JSON
};
constexpr Column kColumns[] = {
    {"step_time", "step", &ChainRow::step, false},
    {"time_1f", "1F", &ChainRow::forward, false},
    {"time_1b", "1B", &ChainRow::backward, false},
    {"time_1w", "1W", &ChainRow::backward_weight, false},
    {"time_1f1b", "1F1B", &ChainRow::forward_backward, false},
    {"time_bubble", "bubble", &ChainRow::bubble, false},
    {"even_bubble", "if even", &ChainRow::even_bubble, false},
    {"mean_bubble", "mean", &ChainRow::mean_bubble, false, false},
    {"time_optimizer", "opt", &ChainRow::optimizer, false},
    {"waiting", "waits", &ChainRow::waiting, false},
    {"pair_time", "pair", &ChainRow::pair, true},
    {"chunk_pair_time", "trace", &ChainRow::traced_pair, true},
};

std::string cell(const ChainRow& row, const Column& column) {
    const double value = row.*column.value;
    if (value == 0) return "-";
    return column.milliseconds ? fmt::format("{:.1f}", 1e3 * value) : fmt::format("{:.3f}", value);
}

void print_text(const Chain& chain, const ChainAnswer& answer, const CommandContext& context) {
    std::vector<TextColumn> columns = {{"", Align::left, true}};
    for (const Column& column : kColumns) {
        if (column.printed) columns.push_back({column.heading, Align::right});
    }
    TextTable table(columns);
    const auto add = [&](const ChainRow& row) {
        std::vector<std::string> cells = {row.name};
        for (const Column& column : kColumns) {
            if (column.printed) cells.push_back(cell(row, column));
        }
        table.add_row(std::move(cells));
    };
    for (const ChainRow& row : answer.rows) add(row);
    if (answer.published.step > 0) {
        table.add_section("compared with, never fitted to");
        add(answer.published);
    }
    context.out << chain.name << "\n\n"
                << table.render(context.width(), context.use_color()) << '\n';
    context.out
        << "Seconds on pipeline rank 0, pair and trace in milliseconds. Each row has everything of "
           "the\n"
           "rows above it. if even: the bubble with this row's pass times on every rank and free\n"
           "sends. waits: of the passes, waiting for peers of a collective. pair: mean F&B pair.\n"
           "trace: one pair of four MoE layers, alone, as DeepSeek traced it.\n";
    for (std::size_t i = 0; i < chain.steps.size(); ++i) {
        const ChainStep& step = chain.steps[i];
        if (step.why.empty()) continue;
        const auto lines = wrapped(step.name + ": " + step.why, 96);
        for (std::size_t l = 0; l < lines.size(); ++l) {
            context.out << (l == 0 ? "  " : "    ") << lines[l] << '\n';
        }
    }
}

void write_row(JsonWriter& json, const ChainRow& row) {
    json.begin_object().field("name", row.name);
    for (const Column& column : kColumns) {
        if (row.*column.value > 0) json.field(column.key, row.*column.value);
    }
    if (row.ranks_simulated > 0) {
        json.field("ranks_simulated", row.ranks_simulated).field("wall_seconds", row.wall);
    }
    json.end_object();
}

void print_json(const Chain& chain, const ChainAnswer& answer, const CommandContext& context) {
    JsonWriter json;
    json.begin_object().field("chain", chain.name).field("scenario", chain.scenario.string());
    json.key("steps").begin_array();
    for (const ChainRow& row : answer.rows) write_row(json, row);
    json.end_array();
    json.key("published");
    write_row(json, answer.published);
    context.out << json.end_object().text();
}

void run(const std::filesystem::path& file, CommandContext& context) {
    const Chain chain = load_chain(file);
    RunRequest request;
    request.profiles = context.profile_dir(file);
    ProgressLine progress(context);
    const ChainAnswer answer = run_chain(chain, context.sets, request, [&](std::size_t i) {
        progress.show(fmt::format("{}/{}  {}", i + 1, chain.steps.size(), chain.steps[i].name));
    });
    progress.clear();
    if (context.format == OutputFormat::json) {
        print_json(chain, answer, context);
    } else {
        print_text(chain, answer, context);
    }
}

}  // namespace

void add_chain_command(CLI::App& app, CommandContext& context) {
    CLI::App* command = app.add_subcommand(
        "chain", "Take a training step apart: from its ideal on, one mechanism more in each row");
    auto file = std::make_shared<std::filesystem::path>();
    command->add_option("chain", *file, "Chain file, JSON")->required()->type_name("CHAIN");
    command->add_option("--set", context.sets, "Override a key in every row: key=value")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command->callback([file, &context] { run(*file, context); });
}

}  // namespace orrery
