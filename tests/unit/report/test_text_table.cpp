#include <algorithm>

#include <gtest/gtest.h>

#include "report/text_table.hpp"

namespace orrery {
namespace {

std::size_t widest_line(const std::string& text) {
    std::size_t widest = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        widest = std::max(widest, display_width(text.substr(begin, end - begin)));
        begin = end + 1;
    }
    return widest;
}

}  // namespace

TEST(TextTable, AlignsTextLeftAndNumbersRight) {
    TextTable table({{"what", Align::left}, {"size", Align::right}});
    table.add_row({"a", "1"});
    table.add_row({"longer", "100"});
    EXPECT_EQ(table.render(80, false),
              "  what    size\n"
              "  a          1\n"
              "  longer   100\n");
}

TEST(TextTable, CountsColumnsNotBytes) {
    EXPECT_EQ(display_width("É…"), 2U);
    EXPECT_EQ(display_width("\033[1mbold\033[0m"), 4U);
    TextTable table({{"", Align::left}, {"", Align::right}});
    table.add_row({"é", "1"});
    table.add_row({"ee", "2"});
    EXPECT_EQ(table.render(80, false), "  é   1\n  ee  2\n");
}

// 22 columns less the margin of 2, the gap of 2 and "12345" leave 13 for the name.
TEST(TextTable, WrapsTheColumnThatMayShrink) {
    TextTable table({{"name", Align::left, true}, {"value", Align::right}});
    table.add_row({"aaa bbb ccc ddd eee", "12345"});
    EXPECT_EQ(table.render(22, false, 2),
              "  name           value\n"
              "  aaa bbb ccc    12345\n"
              "  ddd eee\n");
    TextTable word({{"name", Align::left, true}, {"value", Align::right}});
    word.add_row({std::string(200, 'x'), "12345"});
    EXPECT_LE(widest_line(word.render(40, false)), 40U);
}

TEST(TextTable, ColorsOnlyWhereAllowed) {
    TextTable table({{"a", Align::left}});
    table.add_row({"b"}, Tone::bad);
    EXPECT_EQ(table.render(80, false).find('\033'), std::string::npos);
    EXPECT_NE(table.render(80, true).find("\033[31mb"), std::string::npos);
}

TEST(TextTable, WrapsAtSpaces) {
    EXPECT_EQ(wrapped("one two three", 8), (std::vector<std::string>{"one two", "three"}));
    EXPECT_EQ(wrapped("a breakable", 5), (std::vector<std::string>{"a", "break", "able"}));
    EXPECT_EQ(wrapped("", 5), (std::vector<std::string>{""}));
}

}  // namespace orrery
