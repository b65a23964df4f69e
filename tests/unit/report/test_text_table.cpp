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

TEST(TextTable, ShortensTheColumnThatMayShrink) {
    TextTable table({{"name", Align::left, true}, {"value", Align::right}});
    table.add_row({std::string(200, 'x'), "12345"});
    const std::string text = table.render(40, false);
    EXPECT_LE(widest_line(text), 40U);
    EXPECT_NE(text.find("x…"), std::string::npos);
    EXPECT_NE(text.find("12345"), std::string::npos);
}

TEST(TextTable, ColorsOnlyWhereAllowed) {
    TextTable table({{"a", Align::left}});
    table.add_row({"b"}, Tone::bad);
    EXPECT_EQ(table.render(80, false).find('\033'), std::string::npos);
    EXPECT_NE(table.render(80, true).find("\033[31mb"), std::string::npos);
}

TEST(TextTable, WrapsAtSpaces) {
    EXPECT_EQ(wrapped("one two three", 8), (std::vector<std::string>{"one two", "three"}));
    EXPECT_EQ(wrapped("unbreakable", 4), (std::vector<std::string>{"unbreakable"}));
}

}  // namespace orrery
