#include <gtest/gtest.h>

#include "report/format.hpp"

namespace orrery {

TEST(Format, GroupsThousands) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(-1234567), "-1,234,567");
}

TEST(Format, ValuesReadAsPeopleWriteThem) {
    EXPECT_EQ(format_value("step_time", 19.926, "s"), "19.93 s");
    EXPECT_EQ(format_value("chunk_pair_time", 0.129012, "s"), "129.0 ms");
    EXPECT_EQ(format_value("mfu_causal", 0.3894, "1"), "38.94 %");
    EXPECT_EQ(format_value("tokens_per_day", 272.8e9, "tokens/day"), "272.8 billion");
    EXPECT_EQ(format_value("gpu_hours", 2718123.4, "h"), "2,718,000 h");
    EXPECT_EQ(format_value("gpu_hours", 12.5, "h"), "12.50 h");
    EXPECT_EQ(format_value("cost", 5.328e6, "USD"), "5.328 M USD");
    EXPECT_EQ(format_value("cost", 12.0, "USD"), "12.00 USD");
    EXPECT_EQ(format_value("fits_memory", 1, "1"), "yes");
    EXPECT_EQ(format_value("fits_memory", 0, "1"), "no");
}

TEST(Format, PublishedFiguresKeepTheirDigitsOnly) {
    EXPECT_EQ(format_published("step_time", 19.926, "s"), "19.926 s");
    EXPECT_EQ(format_published("time_1f", 1.13, "s"), "1.13 s");
    EXPECT_EQ(format_published("chunk_pair_time", 0.129012, "s"), "129.012 ms");
    EXPECT_EQ(format_published("gpu_hours", 2664e3, "h"), "2,664,000 h");
    EXPECT_EQ(format_published("mfu_causal", 0.3894, "1"), "38.94 %");
    EXPECT_EQ(format_published("tokens_per_day", 272.8e9, "tokens/day"), "272.8 billion");
    EXPECT_EQ(format_published("peak_memory", 80e9, "B"), "80 GB");
}

// (20.9223 - 19.926) / 19.926 = 0.05.
TEST(Format, ErrorIsSignedAndRelativeToThePublishedFigure) {
    EXPECT_EQ(format_error(20.9223, 19.926), "+5.0 %");
    EXPECT_EQ(format_error(18.9297, 19.926), "-5.0 %");
    EXPECT_EQ(format_error(1, 0), "");
}

}  // namespace orrery
