#include "report/result_json.hpp"

#include "report/format.hpp"

namespace orrery {
namespace {

void write_metrics(JsonWriter& json, const RunResult& result) {
    json.key("metrics").begin_object();
    for (const Metric& metric : result.metrics) {
        json.key(metric.name).begin_object();
        json.field("value", metric.value).field("unit", metric.unit);
        json.field("origin", to_string(metric.origin)).field("title", metric.title);
        json.end_object();
    }
    json.end_object();
}

void write_published(JsonWriter& json, const RunResult& result) {
    json.key("published").begin_array();
    for (const PublishedFigure& figure : result.published) {
        const Metric* metric = result.find(figure.metric);
        json.begin_object();
        json.field("metric", figure.metric).field("value", figure.value);
        const bool same_scenario = result.changed.empty();
        if (metric != nullptr) {
            json.field("unit", metric->unit).field("predicted", metric->value);
            if (same_scenario) json.field("error", relative_error(metric->value, figure.value));
        }
        json.field("describes_this_run", same_scenario);
        json.field("calibration", figure.calibration);
        json.field("citation", figure.citation).field("note", figure.note);
        json.end_object();
    }
    json.end_array();
}

void write_cell(JsonWriter& json, const Cell& cell) {
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

void write_breakdown(JsonWriter& json, const RunResult& result) {
    json.key("breakdown").begin_object();
    for (const ResultTable& table : result.breakdown) {
        json.key(table.name).begin_object().field("title", table.title);
        write_table(json, table);
        json.end_object();
    }
    json.end_object();
}

void write_sources(JsonWriter& json, const RunResult& result) {
    json.key("sources").begin_array();
    for (const SourceUsed& source : result.sources) {
        json.begin_object().field("name", source.name).field("value", source.value);
        json.field("origin", to_string(source.from.origin)).field("source", source.from.source);
        json.end_object();
    }
    json.end_array();
}

}  // namespace

void write_table(JsonWriter& json, const ResultTable& table) {
    json.key("columns").begin_array();
    for (const ResultColumn& column : table.columns) {
        json.begin_object().field("name", column.name).field("unit", column.unit).end_object();
    }
    json.end_array().key("rows").begin_array();
    for (const auto& row : table.rows) {
        json.begin_array(true);
        for (const Cell& cell : row) write_cell(json, cell);
        json.end_array();
    }
    json.end_array();
}

void write_result(JsonWriter& json, const RunResult& result) {
    json.begin_object();
    json.field("name", result.scenario).field("kind", result.kind);
    json.key("scenario").raw(result.given.empty() ? "null" : result.given);
    json.key("used").raw(result.used.empty() ? "null" : result.used);
    json.field("events", result.events).field("operators", result.operators);
    json.field("ranks", result.ranks).field("ranks_simulated", result.ranks_simulated);
    write_metrics(json, result);
    json.key("changed").begin_array();
    for (const std::string& setting : result.changed) json.value(setting);
    json.end_array();
    write_published(json, result);
    write_breakdown(json, result);
    json.key("notes").begin_array();
    for (const std::string& note : result.notes) json.value(note);
    json.end_array();
    write_sources(json, result);
    json.key("inputs").begin_array();
    for (const InputFile& input : result.inputs) {
        json.begin_object().field("path", input.path).field("hash", input.hash).end_object();
    }
    json.end_array();
    json.field("fingerprint", result.fingerprint);
    json.key("program").begin_object();
    json.field("version", result.program.version).field("commit", result.program.commit);
    json.field("dirty", result.program.dirty).key("command_line").begin_array(true);
    for (const std::string& argument : result.program.command_line) json.value(argument);
    json.end_array().end_object();
    json.field("wall_seconds", result.wall_seconds);
    json.end_object();
}

std::string result_json(const RunResult& result) {
    JsonWriter json;
    write_result(json, result);
    return json.text();
}

}  // namespace orrery
