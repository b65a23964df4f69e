#include "report/validation_table.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/format.hpp"
#include "report/json_writer.hpp"
#include "report/text_table.hpp"

namespace orrery {
namespace {

struct Figure {
    const PublishedFigure* published;
    const Metric* metric;  // nullptr: nothing predicted
    std::optional<double> bound;
    double error() const { return relative_error(metric->value, published->value); }
    bool changed = false;  // the published figure describes the case without this run's overrides
    bool within() const { return metric && (changed || !bound || std::fabs(error()) <= *bound); }
};

std::vector<Figure> figures_of(const ValidationReportCase& which) {
    std::vector<Figure> figures;
    for (std::size_t i = 0; i < which.result.published.size(); ++i) {
        const PublishedFigure& published = which.result.published[i];
        figures.push_back({&published, which.result.find(published.metric),
                           i < which.bounds.size() ? which.bounds[i] : std::nullopt,
                           !which.result.changed.empty()});
    }
    return figures;
}

std::vector<double> absolute_errors(const std::vector<ValidationReportCase>& cases) {
    std::vector<double> errors;
    for (const ValidationReportCase& which : cases) {
        for (const Figure& figure : figures_of(which)) {
            if (figure.metric == nullptr || figure.changed || figure.published->calibration)
                continue;
            errors.push_back(std::fabs(figure.error()));
        }
    }
    std::sort(errors.begin(), errors.end());
    return errors;
}

double median(const std::vector<double>& sorted) {
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// The overrides of this validation: the same for every case.
std::vector<std::string> changes_of(const std::vector<ValidationReportCase>& cases) {
    for (const ValidationReportCase& which : cases) {
        if (!which.result.changed.empty()) return which.result.changed;
    }
    return {};
}

void add_case(TextTable& table, const ValidationReportCase& which, bool bounded) {
    table.add_section(which.name);
    if (!which.failed.empty()) table.add_row({"no answer, see below"}, Tone::bad);
    for (const Figure& figure : figures_of(which)) {
        const std::string& name = figure.published->metric;
        if (figure.metric == nullptr) {
            table.add_row({name, "", "not predicted"}, Tone::bad);
            continue;
        }
        const std::string& unit = figure.metric->unit;
        std::vector<std::string> cells = {figure.metric->title,
                                          format_published(name, figure.published->value, unit),
                                          format_value(name, figure.metric->value, unit)};
        if (!figure.changed) {
            cells.push_back(format_error(figure.metric->value, figure.published->value));
        }
        if (bounded)
            cells.push_back(figure.bound ? fmt::format("{:.1f} %", 100 * *figure.bound) : "");
        cells.push_back((figure.published->calibration ? "(calibration) " : "") +
                        figure.published->citation);
        table.add_row(std::move(cells), figure.within() ? Tone::plain : Tone::bad);
    }
}

}  // namespace

bool validation_passes(const std::vector<ValidationReportCase>& cases) {
    return std::all_of(cases.begin(), cases.end(), [](const ValidationReportCase& which) {
        const auto figures = figures_of(which);
        return which.failed.empty() && std::all_of(figures.begin(), figures.end(),
                                                   [](const Figure& f) { return f.within(); });
    });
}

std::string render_validation(const std::vector<ValidationReportCase>& cases,
                              const TerminalStyle& style) {
    const std::vector<std::string> changed = changes_of(cases);
    bool bounded = false;
    for (const ValidationReportCase& which : cases) {
        for (const auto& bound : which.bounds) bounded = bounded || bound.has_value();
    }
    bounded = bounded && changed.empty();
    std::vector<TextColumn> columns = {
        {"", Align::left, false},
        {changed.empty() ? "published" : kPublishedAsShipped, Align::right},
        {"predicted", Align::right}};
    if (changed.empty()) columns.push_back({"error", Align::right});
    if (bounded) columns.push_back({"bound", Align::right});
    columns.push_back({"published in", Align::left, true});
    TextTable table(columns);
    for (const ValidationReportCase& which : cases) add_case(table, which, bounded);
    std::string text;
    for (const std::string& line :
         wrapped(changed_sentence(changed), static_cast<std::size_t>(style.width))) {
        if (!line.empty()) text += toned(line, Tone::warn, style.color) + "\n";
    }
    if (!changed.empty()) text += "\n";
    text += table.render(style.width, style.color, 4);
    for (const ValidationReportCase& which : cases) {
        if (which.failed.empty()) continue;
        for (const std::string& line :
             wrapped(which.name + ": " + which.failed, static_cast<std::size_t>(style.width - 2))) {
            text += fmt::format("\n  {}", line);
        }
        text += '\n';
    }
    const std::vector<double> errors = absolute_errors(cases);
    if (!errors.empty()) {
        text +=
            fmt::format("\n  {} figures in {} cases: median |error| {:.1f} %, largest {:.1f} %\n",
                        errors.size(), cases.size(), 100 * median(errors), 100 * errors.back());
    }
    return text;
}

std::string validation_json(const std::vector<ValidationReportCase>& cases) {
    JsonWriter json;
    json.begin_object().key("changed").begin_array();
    for (const std::string& setting : changes_of(cases)) json.value(setting);
    json.end_array().key("cases").begin_array();
    for (const ValidationReportCase& which : cases) {
        json.begin_object().field("name", which.name);
        if (!which.failed.empty()) json.field("failed", which.failed);
        json.key("figures").begin_array();
        for (const Figure& figure : figures_of(which)) {
            json.begin_object().field("metric", figure.published->metric);
            json.field("published", figure.published->value);
            if (figure.metric != nullptr) {
                json.field("unit", figure.metric->unit).field("predicted", figure.metric->value);
                if (!figure.changed) json.field("error", figure.error());
                json.field("origin", to_string(figure.metric->origin));
            }
            json.field("describes_this_run", !figure.changed);
            if (!figure.changed) {
                if (figure.bound) json.field("bound", *figure.bound);
                json.field("within_bound", figure.within());
            }
            json.field("calibration", figure.published->calibration);
            json.field("citation", figure.published->citation);
            json.field("note", figure.published->note).end_object();
        }
        json.end_array().end_object();
    }
    json.end_array();
    const std::vector<double> errors = absolute_errors(cases);
    if (!errors.empty()) {
        json.field("median_error", median(errors)).field("largest_error", errors.back());
    }
    json.field("passes", validation_passes(cases)).end_object();
    return json.text();
}

}  // namespace orrery
