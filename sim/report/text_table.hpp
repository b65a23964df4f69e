#pragma once
// Tables for a terminal: columns aligned by displayed width (UTF-8 aware), text to the left,
// numbers to the right, the widest text column shortened where the table does not fit.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

enum class Align : std::uint8_t { left, right };
enum class Tone : std::uint8_t { plain, bold, dim, good, warn, bad };

// Escape sequences around `text` where color is on, else `text`.
std::string toned(std::string_view text, Tone tone, bool color);
// Columns `text` occupies on a terminal (code points; escape sequences none).
std::size_t display_width(std::string_view text);
// `text` broken at spaces into lines of at most `width` columns; longer words are broken too.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

struct TextColumn {
    std::string heading;
    Align align = Align::left;
    bool may_shrink = false;  // wraps where the table is too wide
};

class TextTable {
  public:
    explicit TextTable(std::vector<TextColumn> columns) : columns_(std::move(columns)) {}
    // Cells beyond the columns are an error of the caller; missing ones are empty.
    void add_row(std::vector<std::string> cells, Tone tone = Tone::plain);
    // A line of text across the table, set apart from the rows above.
    void add_section(std::string title);
    // Every line ends with a newline and starts with `indent` spaces, sections with two fewer.
    std::string render(int width, bool color, int indent = 2) const;

  private:
    struct Row {
        std::vector<std::string> cells;
        Tone tone = Tone::plain;
        bool section = false;
    };
    std::vector<std::size_t> fitted_widths(std::size_t available) const;
    std::vector<TextColumn> columns_;
    std::vector<Row> rows_;
};

}  // namespace orrery
