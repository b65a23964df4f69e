#include "report/text_table.hpp"

#include <algorithm>
#include <utility>

namespace orrery {
namespace {

constexpr std::size_t kGap = 2;        // spaces between columns
constexpr std::size_t kNarrowest = 8;  // a shrinking column keeps this much

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

// Splits a word that is wider than `width` into pieces of that many columns.
void append_word(std::vector<std::string>& lines, std::string& line, std::string_view word,
                 std::size_t width) {
    const std::size_t needed = display_width(word) + (line.empty() ? 0 : 1);
    if (display_width(line) + needed <= width) {
        if (!line.empty()) line += ' ';
        line += word;
        return;
    }
    if (!line.empty()) lines.push_back(std::exchange(line, std::string()));
    for (const char c : word) {
        if (starts_code_point(c) && display_width(line) == width) {
            lines.push_back(std::exchange(line, std::string()));
        }
        line += c;
    }
}

}  // namespace

std::string toned(std::string_view text, Tone tone, bool color) {
    static constexpr std::string_view codes[] = {"", "1", "2", "32", "33", "31"};
    if (!color || tone == Tone::plain) return std::string(text);
    return "\033[" + std::string(codes[static_cast<std::size_t>(tone)]) + "m" + std::string(text) +
           "\033[0m";
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\033') {
            while (i < text.size() && text[i] != 'm') ++i;
            continue;
        }
        width += starts_code_point(text[i]);
    }
    return width;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    std::string line;
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        append_word(lines, line, text.substr(0, space), std::max<std::size_t>(width, 1));
        text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    }
    lines.push_back(std::move(line));
    return lines;
}

void TextTable::add_row(std::vector<std::string> cells, Tone tone) {
    cells.resize(columns_.size());
    rows_.push_back({std::move(cells), tone, false});
}

void TextTable::add_section(std::string title) {
    rows_.push_back({{std::move(title)}, Tone::bold, true});
}

std::vector<std::size_t> TextTable::fitted_widths(std::size_t available) const {
    std::vector<std::size_t> widths;
    std::size_t total = columns_.empty() ? 0 : kGap * (columns_.size() - 1);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        std::size_t width = display_width(columns_[c].heading);
        for (const Row& row : rows_) {
            if (!row.section) width = std::max(width, display_width(row.cells[c]));
        }
        widths.push_back(width);
        total += width;
    }
    while (total > available) {
        std::size_t* widest = nullptr;
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            const std::size_t least = kNarrowest;
            if (!columns_[c].may_shrink || widths[c] <= least) continue;
            if (widest == nullptr || widths[c] > *widest) widest = &widths[c];
        }
        if (widest == nullptr) break;
        --*widest;
        --total;
    }
    return widths;
}

std::string TextTable::render(int width, bool color, int indent) const {
    const std::string margin(static_cast<std::size_t>(indent), ' ');
    const std::vector<std::size_t> widths =
        fitted_widths(static_cast<std::size_t>(std::max(width - indent, 20)));
    std::string text;
    const auto add_line = [&](const std::vector<std::string>& cells, Tone tone) {
        std::vector<std::vector<std::string>> parts;
        std::size_t lines = 0;
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            parts.push_back(wrapped(cells[c], std::max<std::size_t>(widths[c], 1)));
            lines = std::max(lines, parts.back().size());
        }
        for (std::size_t l = 0; l < lines; ++l) {
            std::string line;
            for (std::size_t c = 0; c < columns_.size(); ++c) {
                const std::string cell = l < parts[c].size() ? parts[c][l] : "";
                const std::string fill(widths[c] - display_width(cell), ' ');
                if (c > 0) line.append(kGap, ' ');
                line += columns_[c].align == Align::right ? fill + cell : cell + fill;
            }
            line.erase(line.find_last_not_of(' ') + 1);
            text += line.empty() ? "\n" : margin + toned(line, tone, color) + "\n";
        }
    };
    std::vector<std::string> headings;
    bool any = false;
    for (const TextColumn& column : columns_) {
        headings.push_back(column.heading);
        any = any || !column.heading.empty();
    }
    if (any) add_line(headings, Tone::dim);
    for (const Row& row : rows_) {
        if (row.section) {
            text += "\n" + margin.substr(std::min<std::size_t>(margin.size(), 2)) +
                    toned(row.cells[0], Tone::bold, color) + "\n";
        } else {
            add_line(row.cells, row.tone);
        }
    }
    return text;
}

}  // namespace orrery
