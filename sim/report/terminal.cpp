#include "report/terminal.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "core/unit_text.hpp"
#include "report/format.hpp"
#include "report/text_table.hpp"

namespace orrery {
namespace {

struct Section {
    std::string_view metric;
    std::string_view heading;
};
// Which heading a metric stands under; a metric that is not named goes under "Other".
constexpr std::array<Section, 23> kSections = {{
    {"step_time", "Time"},
    {"chunk_pair_time", "Time"},
    {"time_1f", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"time_1b", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"time_1w", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"time_1f1b", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"time_bubble", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"time_optimizer", "Parts of the step on pipeline rank 0 (they add up to it)"},
    {"tokens_per_day", "Rate"},
    {"mfu_causal", "Rate"},
    {"mfu_non_causal", "Rate"},
    {"gpu_hours", "Whole training run"},
    {"cost", "Whole training run"},
    {"peak_memory", "Memory of the fullest GPU"},
    {"fits_memory", "Memory of the fullest GPU"},
    {"dispatch_time", "Expert all-to-all"},
    {"dispatch_bandwidth", "Expert all-to-all"},
    {"combine_time", "Expert all-to-all"},
    {"combine_bandwidth", "Expert all-to-all"},
    {"iteration_time", "Iteration"},
    {"two_batch_gain", "Iteration"},
    {"half_layer_time", "Iteration"},
    {"core_attention_time", "Iteration"},
}};

// Serving's metrics, by how their names begin.
constexpr std::array<Section, 14> kPrefixes = {{{"ttft_", "Latency"},
                                                {"tpot_", "Latency"},
                                                {"itl_", "Latency"},
                                                {"e2e_", "Latency"},
                                                {"input_", "Throughput"},
                                                {"output_", "Throughput"},
                                                {"request_rate", "Throughput"},
                                                {"good", "Throughput"},
                                                {"kv_", "KV cache"},
                                                {"group_kv", "KV cache"},
                                                {"nodes", "Size and cost"},
                                                {"gpus", "Size and cost"},
                                                {"cost_per_hour", "Size and cost"},
                                                {"cost_per_million", "Size and cost"}}};

std::string_view heading_of(const std::string& metric) {
    for (const Section& section : kSections) {
        if (section.metric == metric) return section.heading;
    }
    for (const Section& section : kPrefixes) {
        if (metric.starts_with(section.metric)) return section.heading;
    }
    return "Other";
}

const PublishedFigure* published_of(const RunResult& result, const std::string& metric) {
    for (const PublishedFigure& figure : result.published) {
        if (figure.metric == metric) return &figure;
    }
    return nullptr;
}

std::string_view meaning(Origin origin) {
    switch (origin) {
        case Origin::measured:
            return "timed on a real GPU for this project";
        case Origin::specified:
            return "a vendor's data sheet";
        case Origin::published:
            return "measured and printed by somebody else";
        case Origin::derived:
            return "scaled from another figure by a stated rule";
        case Origin::given:
            return "set by you";
        case Origin::assumed:
            return "nobody's figure: an assumption";
    }
    return "";
}

// False for passes that the schedule does not have: no line for them, unless one was published.
bool happens(const RunResult& result, const Metric& metric) {
    if (published_of(result, metric.name) != nullptr) return true;
    const Metric* pairs = result.find("time_1f1b");
    const bool no_pairs = pairs != nullptr && pairs->value == 0;
    if (metric.name == "time_1f1b" || metric.name == "chunk_pair_time") return !no_pairs;
    return metric.name != "time_1w" || metric.value != 0;
}

std::vector<std::string> metric_cells(const RunResult& result, const Metric& metric,
                                      bool with_published) {
    std::vector<std::string> cells = {metric.title.empty() ? metric.name : metric.title,
                                      format_value(metric.name, metric.value, metric.unit)};
    if (with_published) {
        const PublishedFigure* figure = published_of(result, metric.name);
        cells.push_back(figure ? format_published(metric.name, figure->value, metric.unit) : "");
        if (result.changed.empty()) {
            cells.push_back(figure ? format_error(metric.value, figure->value) : "");
        }
    }
    cells.emplace_back(to_string(metric.origin));
    return cells;
}

bool fits_any(const RunResult& result) {
    return std::any_of(result.published.begin(), result.published.end(),
                       [](const PublishedFigure& figure) { return figure.calibration; });
}

// One line a citation, naming the metrics taken from it; then how a figure differs in meaning.
std::string citations(const RunResult& result, const TerminalStyle& style) {
    std::vector<std::string> order;
    std::map<std::string, std::string> metrics;
    for (const PublishedFigure& figure : result.published) {
        const Metric* metric = result.find(figure.metric);
        if (metric == nullptr) continue;
        std::string& names = metrics[figure.citation];
        if (names.empty()) order.push_back(figure.citation);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", metric->title);
    }
    std::string text;
    const auto add = [&](const std::string& sentence) {
        const auto lines =
            wrapped(sentence, static_cast<std::size_t>(std::max(style.width - 4, 30)));
        for (std::size_t i = 0; i < lines.size(); ++i) {
            text += toned(fmt::format("{}{}", i == 0 ? "  " : "    ", lines[i]), Tone::dim,
                          style.color) +
                    "\n";
        }
    };
    for (const std::string& citation : order) add(citation + ": " + metrics[citation]);
    for (const PublishedFigure& figure : result.published) {
        const Metric* metric = result.find(figure.metric);
        if (metric != nullptr && !figure.note.empty()) add(metric->title + ": " + figure.note);
    }
    return text;
}

// Names of the numbers of this origin, once each.
std::string names_of(const RunResult& result, Origin origin) {
    std::set<std::string> seen;
    std::string names;
    for (const SourceUsed& source : result.sources) {
        if (source.from.origin != origin || !seen.insert(source.name).second) continue;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", source.name);
    }
    return names;
}

std::string origin_legend(const RunResult& result, const TerminalStyle& style) {
    std::set<Origin> seen;
    for (const Metric& metric : result.metrics) seen.insert(metric.origin);
    std::string sentence = "weakest origin = the least certain number underneath a line:";
    for (const Origin origin : seen) {
        sentence += fmt::format("{} {} = {}", origin == *seen.begin() ? "" : ";", to_string(origin),
                                meaning(origin));
    }
    const std::string names = seen.empty() ? "" : names_of(result, *seen.rbegin());
    if (!names.empty()) {
        sentence += fmt::format(". {} here: {}", to_string(*seen.rbegin()), names);
    }
    std::string text;
    for (const std::string& line : wrapped(sentence, static_cast<std::size_t>(style.width - 2))) {
        text += toned("  " + line, Tone::dim, style.color) + "\n";
    }
    return text;
}

std::string render_foot(const RunResult& result, const TerminalStyle& style) {
    const auto counted = [](std::int64_t n, const char* what) {
        return fmt::format("{} {}{}", grouped(n), what, n == 1 ? "" : "s");
    };
    std::string line = counted(result.ranks, "GPU");
    if (result.ranks_simulated != result.ranks) {
        line += fmt::format(" ({} simulated, the others are identical)",
                            grouped(result.ranks_simulated));
    } else if (result.ranks > 1) {
        line += ", each simulated";
    }
    const char* steps = result.kind == "serving" ? "iteration" : "operator";
    if (result.operators > 0) line += ", " + counted(result.operators, steps);
    if (result.events > 0) line += ", " + counted(result.events, "event");
    line += "; simulated in " + format_quantity(result.wall_seconds, "s", 3);
    std::string text;
    for (const std::string& part : wrapped(line, static_cast<std::size_t>(style.width - 2))) {
        text += toned("  " + part, Tone::dim, style.color) + "\n";
    }
    return text;
}

}  // namespace

std::string render_metrics(const RunResult& result, const TerminalStyle& style) {
    const bool with_published = !result.published.empty();
    std::vector<TextColumn> columns = {{"", Align::left, true}, {"predicted", Align::right}};
    if (with_published) {
        const bool changed = !result.changed.empty();
        columns.push_back({changed ? kPublishedAsShipped : "published", Align::right});
        if (!changed) columns.push_back({"error", Align::right});
    }
    columns.push_back({"weakest origin", Align::left});
    TextTable table(columns);
    std::string_view heading;
    for (const Metric& metric : result.metrics) {
        if (!happens(result, metric)) continue;
        if (heading_of(metric.name) != heading) {
            heading = heading_of(metric.name);
            table.add_section(std::string(heading));
        }
        const bool bad = metric.name.starts_with("fits_") && metric.value == 0;
        table.add_row(metric_cells(result, metric, with_published), bad ? Tone::bad : Tone::plain);
    }
    std::string text = table.render(style.width, style.color, 4);
    if (with_published) {
        const std::string changed = changed_sentence(result.changed);
        if (!changed.empty()) text += "\n";
        const auto width = static_cast<std::size_t>(style.width - 2);
        for (const std::string& line : wrapped(changed, width)) {
            if (!line.empty()) text += toned("  " + line, Tone::warn, style.color) + "\n";
        }
        text += "\n" +
                toned(fits_any(result) ? "Published figures (they set constants of the model)"
                                       : "Published figures (compared with, never fitted to)",
                      Tone::bold, style.color) +
                "\n" + citations(result, style);
    }
    return text + "\n" + origin_legend(result, style);
}

std::string render_answer(const RunResult& result, const TerminalStyle& style) {
    std::string text = toned(result.scenario, Tone::bold, style.color) + "\n";
    for (const ResultTable& table : result.breakdown) {
        if (table.name == "setup") text += render_breakdown(table, style);
    }
    text += "\n" + render_metrics(result, style);
    if (style.details) {
        for (const ResultTable& table : result.breakdown) {
            const std::string part = table.name != "setup" ? render_breakdown(table, style) : "";
            if (!part.empty()) text += "\n" + part;
        }
    }
    text += render_notes(result, style);
    if (style.details) text += render_sources(result, style);
    return text + "\n" + render_foot(result, style);
}

}  // namespace orrery
