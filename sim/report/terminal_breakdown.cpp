// The breakdown, notes and sources of an answer in the terminal.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "report/format.hpp"
#include "report/terminal.hpp"
#include "report/text_table.hpp"

namespace orrery {
namespace {

constexpr std::size_t kLongestTable = 24;    // rows printed; the others are in result.json
constexpr std::size_t kLongestSource = 120;  // columns of a citation
constexpr std::size_t kBarWidth = 20;        // columns of a full bar

std::optional<double> number_in(const Cell& cell) {
    if (const auto* number = std::get_if<double>(&cell)) return *number;
    return std::nullopt;
}

std::string titled(const ResultTable& table, const TerminalStyle& style) {
    if (table.title.empty()) return "";
    std::string text;
    for (const std::string& line : wrapped(table.title, static_cast<std::size_t>(style.width))) {
        text += toned(line, Tone::bold, style.color) + "\n";
    }
    return text;
}

bool is_numeric(const ResultTable& table, std::size_t column) {
    return std::none_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
        return std::holds_alternative<std::string>(row[column]);
    });
}

// A bar for every row where a column is a share of a whole.
std::optional<std::size_t> share_column(const ResultTable& table) {
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        if (table.columns[c].name == "share") return c;
    }
    return std::nullopt;
}

std::string bar(double share) {
    const double clamped = std::clamp(share, 0.0, 1.0);
    std::string text;
    for (int i = 0; i < static_cast<int>(clamped * kBarWidth + 0.5); ++i) text += "█";
    return text;
}

std::string render_rows(const ResultTable& table, const TerminalStyle& style) {
    const bool headed = table.name != "setup";
    std::vector<TextColumn> columns;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const bool numeric = is_numeric(table, c);
        columns.push_back(
            {headed ? table.columns[c].name : "", numeric ? Align::right : Align::left, !numeric});
    }
    const auto share = share_column(table);
    if (share && style.width >= 70) columns.push_back({"", Align::left});
    TextTable text(columns);
    for (std::size_t r = 0; r < std::min(table.rows.size(), kLongestTable); ++r) {
        const auto& row = table.rows[r];
        std::vector<std::string> cells;
        for (std::size_t c = 0; c < row.size(); ++c) {
            cells.push_back(format_cell(row[c], table.columns[c]));
        }
        if (share && style.width >= 70) cells.push_back(bar(number_in(row[*share]).value_or(0)));
        text.add_row(std::move(cells));
    }
    std::string rendered = text.render(style.width, style.color);
    if (table.rows.size() > kLongestTable) {
        rendered += fmt::format("  ... and {} more rows in result.json\n",
                                table.rows.size() - kLongestTable);
    }
    return rendered;
}

// Mean and range of every column of numbers; the first column says which row it was.
std::string render_summary(const ResultTable& table, const TerminalStyle& style) {
    const std::string& what = table.columns[0].name;
    TextTable text({{"", Align::left, true},
                    {"mean", Align::right},
                    {"least", Align::right},
                    {what, Align::right},
                    {"most", Align::right},
                    {what, Align::right}});
    for (std::size_t c = 1; c < table.columns.size(); ++c) {
        double sum = 0, least = std::numeric_limits<double>::infinity(), most = -least;
        std::size_t count = 0, at_least = 0, at_most = 0;
        for (std::size_t r = 0; r < table.rows.size(); ++r) {
            const auto value = number_in(table.rows[r][c]);
            if (!value) continue;
            sum += *value;
            ++count;
            if (*value < least) least = *value, at_least = r;
            if (*value > most) most = *value, at_most = r;
        }
        if (count == 0) continue;
        const ResultColumn& column = table.columns[c];
        text.add_row({column.name,
                      format_value(column.name, sum / static_cast<double>(count), column.unit),
                      format_value(column.name, least, column.unit),
                      format_cell(table.rows[at_least][0], table.columns[0]),
                      format_value(column.name, most, column.unit),
                      format_cell(table.rows[at_most][0], table.columns[0])});
    }
    return text.render(style.width, style.color);
}

// A citation's beginning: the whole of it is in result.json.
std::string shortened(const std::string& source) {
    if (display_width(source) <= kLongestSource) return source;
    return wrapped(source, kLongestSource).front() + " ...";
}

}  // namespace

std::string render_breakdown(const ResultTable& table, const TerminalStyle& style) {
    const bool per_rank = table.name == "per_rank";
    // One rank's parts are the metrics themselves.
    if (table.rows.empty() || (per_rank && table.rows.size() == 1)) return "";
    return titled(table, style) +
           (per_rank ? render_summary(table, style) : render_rows(table, style));
}

std::string render_notes(const RunResult& result, const TerminalStyle& style) {
    if (result.notes.empty()) return "";
    std::string text = "\n" + toned("Notes", Tone::bold, style.color) + "\n";
    for (const std::string& note : result.notes) {
        const auto lines = wrapped(note, static_cast<std::size_t>(std::max(style.width - 4, 30)));
        for (std::size_t i = 0; i < lines.size(); ++i) {
            text += fmt::format("{}{}\n", i == 0 ? "  - " : "    ", lines[i]);
        }
    }
    return text;
}

std::string render_sources(const RunResult& result, const TerminalStyle& style) {
    if (result.sources.empty()) return "";
    // Rules of one name and origin share a line; result.json has each.
    std::map<std::pair<Origin, std::string>, std::vector<const SourceUsed*>> lines;
    for (const SourceUsed& source : result.sources) {
        lines[{source.from.origin, source.name}].push_back(&source);
    }
    TextTable table({{"origin", Align::left},
                     {"number", Align::left, true},
                     {"value", Align::left},
                     {"source", Align::left, true}});
    std::optional<Origin> last;
    for (const auto& [key, sources] : lines) {
        const SourceUsed& first = *sources.front();
        const std::string origin = last == key.first ? "" : std::string(to_string(key.first));
        last = key.first;
        const std::size_t others = sources.size() - 1;
        table.add_row({origin, key.second,
                       others == 0 ? first.value : fmt::format("{} rules", sources.size()),
                       others == 0 ? shortened(first.from.source)
                                   : fmt::format("{}; and {} more in result.json",
                                                 shortened(first.from.source), others)});
    }
    return fmt::format(
        "\n{}\n{}",
        toned("Hardware numbers underneath, strongest origin first", Tone::bold, style.color),
        table.render(style.width, style.color));
}

}  // namespace orrery
