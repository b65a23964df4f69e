#include "report/compare_table.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/format.hpp"
#include "report/json_writer.hpp"
#include "report/result_json.hpp"
#include "report/text_table.hpp"

namespace orrery {
namespace {

constexpr int kLabelWidth = 28;  // columns kept for the metric's title
constexpr int kCellWidth = 20;   // columns of one case: value, change, gap

std::string label_of(const CompareColumn& column) {
    std::string text;
    for (const auto& [key, value] : column.settings) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", value);
    }
    return text;
}

const RunResult* reference_of(const std::vector<CompareColumn>& columns) {
    for (const CompareColumn& column : columns) {
        if (column.result != nullptr) return column.result;
    }
    return nullptr;
}

// "19.93 s  +3.1 %"; no change for the reference itself and for yes/no.
std::string compared_cell(const Metric& metric, const RunResult& reference, bool is_reference) {
    std::string text = format_value(metric.name, metric.value, metric.unit);
    const Metric* base = reference.find(metric.name);
    if (is_reference || base == nullptr || metric.name.starts_with("fits_")) return text;
    const std::string change = format_error(metric.value, base->value);
    return text + (change.empty() ? "" : fmt::format(" {:>8}", change));
}

std::string render_block(const std::vector<CompareColumn>& all, std::size_t begin, std::size_t end,
                         const TerminalStyle& style) {
    const RunResult* reference = reference_of(all);
    std::vector<TextColumn> columns = {{"", Align::left, true}};
    for (std::size_t c = begin; c < end; ++c) {
        columns.push_back({label_of(all[c]), Align::right, true});
    }
    TextTable table(columns);
    for (const Metric& row : reference->metrics) {
        std::vector<std::string> cells = {row.title};
        for (std::size_t c = begin; c < end; ++c) {
            const RunResult* result = all[c].result;
            const Metric* metric = result != nullptr ? result->find(row.name) : nullptr;
            cells.push_back(metric != nullptr
                                ? compared_cell(*metric, *reference, result == reference)
                                : (result != nullptr ? "" : "impossible"));
        }
        table.add_row(std::move(cells));
    }
    return table.render(style.width, style.color);
}

std::string keys_line(const std::vector<CompareColumn>& columns) {
    std::string text;
    for (const auto& [key, value] : columns.front().settings) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", key);
    }
    return text;
}

std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

}  // namespace

std::string render_comparison(const std::string& scenario,
                              const std::vector<CompareColumn>& columns,
                              const TerminalStyle& style) {
    std::string text =
        toned(fmt::format("{}: {}", scenario, keys_line(columns)), Tone::bold, style.color) +
        "\n\n";
    const RunResult* reference = reference_of(columns);
    if (reference == nullptr) return text;
    const auto per_block =
        static_cast<std::size_t>(std::max(1, (style.width - kLabelWidth) / kCellWidth));
    for (std::size_t begin = 0; begin < columns.size(); begin += per_block) {
        if (begin > 0) text += "\n";
        text += render_block(columns, begin, std::min(begin + per_block, columns.size()), style);
    }
    for (const CompareColumn& column : columns) {
        if (column.result != nullptr && column.result->find("fits_memory") != nullptr &&
            column.result->find("fits_memory")->value == 0) {
            for (const std::string& note : column.result->notes) {
                if (note.find("does not fit") == std::string::npos) continue;
                text += fmt::format("\n  {}: {}", label_of(column), note);
            }
        }
        if (column.result == nullptr) {
            text += fmt::format("\n  {} is impossible: {}", label_of(column), column.impossible);
        }
    }
    if (text.back() != '\n') text += '\n';
    return text;
}

std::string comparison_json(const std::string& scenario,
                            const std::vector<CompareColumn>& columns) {
    JsonWriter json;
    json.begin_object().field("scenario", scenario).key("cases").begin_array();
    for (const CompareColumn& column : columns) {
        json.begin_object().key("settings").begin_object();
        for (const auto& [key, value] : column.settings) json.field(key, value);
        json.end_object();
        if (column.result != nullptr) {
            json.key("result");
            write_result(json, *column.result);
        } else {
            json.field("impossible", column.impossible);
        }
        json.end_object();
    }
    json.end_array().end_object();
    return json.text();
}

std::string comparison_csv(const std::vector<CompareColumn>& columns) {
    const RunResult* reference = reference_of(columns);
    std::string text;
    for (const auto& [key, value] : columns.front().settings) text += csv_field(key) + ",";
    if (reference != nullptr) {
        for (const Metric& metric : reference->metrics) {
            text += csv_field(fmt::format("{} ({})", metric.name, metric.unit)) + ",";
        }
    }
    text += "impossible\n";
    for (const CompareColumn& column : columns) {
        for (const auto& [key, value] : column.settings) text += csv_field(value) + ",";
        if (reference != nullptr) {
            for (const Metric& row : reference->metrics) {
                const Metric* metric =
                    column.result != nullptr ? column.result->find(row.name) : nullptr;
                text += (metric != nullptr ? json_number(metric->value) : "") + ",";
            }
        }
        text += csv_field(column.impossible) + "\n";
    }
    return text;
}

}  // namespace orrery
