#include "report/compare_table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "report/format.hpp"
#include "report/json_writer.hpp"
#include "report/result_json.hpp"
#include "report/table_csv.hpp"
#include "report/text_table.hpp"

namespace orrery {
namespace {

constexpr int kLabelWidth = 28;  // columns kept for the metric's title
constexpr int kCellWidth = 23;   // columns of one case: value, change, gaps

std::string label_of(const CompareColumn& column) {
    std::string text;
    for (const auto& [key, value] : column.settings) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", value);
    }
    return text;
}

std::string settings_of(const CompareColumn& column) {
    std::string text;
    for (const auto& [key, value] : column.settings) {
        text += fmt::format("{}{}={}", text.empty() ? "" : ", ", key, value);
    }
    return text;
}

const RunResult* reference_of(const std::vector<CompareColumn>& columns) {
    for (const CompareColumn& column : columns) {
        if (column.result != nullptr) return column.result;
    }
    return nullptr;
}

// "+3.1 %" against the reference; nothing for the reference itself, for no change, for yes or no.
std::string change_text(const Metric& metric, const RunResult& reference) {
    const Metric* base = reference.find(metric.name);
    if (base == nullptr || base->value == metric.value || metric.name.starts_with("fits_")) {
        return "";
    }
    return format_error(metric.value, base->value);
}

std::string render_block(const std::vector<CompareColumn>& all, std::size_t begin, std::size_t end,
                         const TerminalStyle& style) {
    const RunResult* reference = reference_of(all);
    std::vector<TextColumn> columns = {{"", Align::left, true}};
    for (std::size_t c = begin; c < end; ++c) {
        columns.push_back({label_of(all[c]), Align::right, true});
        if (all[c].result != reference) columns.push_back({"", Align::right});
    }
    TextTable table(columns);
    for (const Metric& row : reference->metrics) {
        const bool first = &row == &reference->metrics.front();
        std::vector<std::string> cells = {row.title};
        for (std::size_t c = begin; c < end; ++c) {
            const RunResult* result = all[c].result;
            const Metric* metric = result != nullptr ? result->find(row.name) : nullptr;
            if (metric != nullptr) {
                cells.push_back(format_value(metric->name, metric->value, metric->unit));
            } else {
                cells.emplace_back(result == nullptr && first ? "impossible" : "-");
            }
            if (result == reference) continue;
            cells.push_back(metric != nullptr ? change_text(*metric, *reference) : "");
        }
        table.add_row(std::move(cells));
    }
    return table.render(style.width, style.color);
}

// "OVERLOADED: ..." of a serving run that is not stable, whose figures are those of a growing
// queue.
std::string unstable(const RunResult& result) {
    for (const ResultTable& table : result.breakdown) {
        if (table.name != "setup") continue;
        for (const auto& row : table.rows) {
            const auto* what = std::get_if<std::string>(&row[0]);
            const auto* said = std::get_if<std::string>(&row[1]);
            if (what == nullptr || said == nullptr || *what != "verdict") continue;
            return said->starts_with("STABLE") ? "" : *said;
        }
    }
    return "";
}

// Under the table: plans that do not fit, loads that are too much, and why a case is impossible.
std::string render_remarks(const std::vector<CompareColumn>& columns, const TerminalStyle& style) {
    std::string text;
    const auto add = [&](const std::string& sentence) {
        const auto width = static_cast<std::size_t>(std::max(style.width - 4, 30));
        const char* margin = "\n  ";
        for (const std::string& line : wrapped(sentence, width)) {
            text += margin + line;
            margin = "\n    ";
        }
    };
    for (const CompareColumn& column : columns) {
        if (column.result == nullptr) {
            add(fmt::format("{} is impossible: {}", settings_of(column), column.impossible));
            continue;
        }
        if (const std::string verdict = unstable(*column.result); !verdict.empty()) {
            add(fmt::format("{}: {}", settings_of(column), verdict));
        }
        const Metric* fits = column.result->find("fits_memory");
        if (fits == nullptr || fits->value != 0 || column.result->notes.empty()) continue;
        add(fmt::format("{}: {}", settings_of(column), column.result->notes.front()));
    }
    return text.empty() ? "" : text + "\n";
}

std::string keys_line(const std::vector<CompareColumn>& columns) {
    std::string text;
    for (const auto& [key, value] : columns.front().settings) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", key);
    }
    return text;
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
    return text + render_remarks(columns, style);
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
