// Traces as they are published, and everything that is wrong with one.
#include "serving/trace_reader.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/line_reader.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TraceTest : public testing::Test {
  protected:
    void SetUp() override {
        file_ = std::filesystem::temp_directory_path() /
                ("orrery_trace_" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    }
    void TearDown() override { std::filesystem::remove(file_); }
    using Open = RequestStream (*)(const std::filesystem::path&, TraceOptions);
    RequestStream open(Open format, const std::string& text, bool skip = false) {
        std::ofstream(file_, std::ios::binary) << text;
        return format(file_, {.skip_bad_lines = skip});
    }
    // What the first wrong line is said to be.
    std::string error(Open format, const std::string& text) {
        try {
            const RequestStream stream = open(format, text);
            while (stream.next()) {
            }
        } catch (const InputError& e) {
            const std::string what = e.what();
            EXPECT_TRUE(what.starts_with(file_.string() + ":"));
            return what.substr(file_.string().size());
        }
        return "";
    }
    std::filesystem::path file_;
};

const std::string kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

// The second request comes 4.314579 s after the first.
TEST_F(TraceTest, Azure) {
    const RequestStream stream = open(azure_trace, kHeader +
                                                       "2023-11-16 18:15:46.6805900,374,44\r\n"
                                                       "2023-11-16 18:15:50.9951690,396,109");
    const auto first = stream.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->arrival.ps, 0);
    EXPECT_EQ(first->prompt_tokens, 374);
    EXPECT_EQ(first->output_tokens, 44);
    const auto second = stream.next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->arrival.ps, 4'314'579'000'000);
    EXPECT_EQ(second->output_tokens, 109);
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(stream.block_tokens, 0);
}

// Over the end of a year, in seconds, and with the columns in another order.
TEST_F(TraceTest, AzureTimes) {
    const RequestStream night = open(azure_trace, kHeader +
                                                      "2023-12-31 23:59:59.5,1,1\n"
                                                      "2024-01-01 00:00:01.25+00:00,1,1\n");
    night.next();
    EXPECT_EQ(night.next()->arrival.ps, 1'750'000'000'000);
    const RequestStream seconds =
        open(azure_trace, "GeneratedTokens,x,TIMESTAMP,ContextTokens\n7,a,10,3\n8,b,10.5,4\n");
    EXPECT_EQ(seconds.next()->output_tokens, 7);
    EXPECT_EQ(seconds.next()->arrival.ps, 500'000'000'000);
}

TEST_F(TraceTest, AzureErrorsNameLineColumnAndRule) {
    EXPECT_EQ(error(azure_trace, "TIMESTAMP,ContextTokens\n"),
              ":1: the header must name column GeneratedTokens");
    EXPECT_EQ(error(azure_trace, kHeader + "5,1,1\n4,1,1\n"),
              ":3: arrives 1000000 us before the line above: must be sorted by time");
    EXPECT_EQ(error(azure_trace, kHeader + "5,-3,1\n"),
              ":2: ContextTokens = -3: must be a whole number from 1 to 1000000000");
    EXPECT_EQ(error(azure_trace, kHeader + "5,1\n"), ":2: column GeneratedTokens is missing");
    EXPECT_EQ(error(azure_trace, kHeader + "5,1,1,9\n"),
              ":2: has 4 fields: must have the header's 3");
    EXPECT_EQ(error(azure_trace, "ContextTokens," + kHeader),
              ":1: the header must name column ContextTokens once");
    EXPECT_EQ(error(azure_trace, kHeader + "5,1.5,1\n"),
              ":2: ContextTokens = 1.5: must be a whole number from 1 to 1000000000");
    EXPECT_EQ(error(azure_trace, kHeader + "5,1,99999999999999999999\n"),
              ":2: GeneratedTokens = 99999999999999999999: must be a whole number from 1 to "
              "1000000000");
    EXPECT_THAT(error(azure_trace, kHeader + "2023-02-30 00:00:00,1,1\n"),
                HasSubstr(":2: TIMESTAMP = 2023-02-30 00:00:00: must be"));
    EXPECT_THAT(error(azure_trace, kHeader + "-1,1,1\n"), HasSubstr(":2: TIMESTAMP = -1: must be"));
    EXPECT_THAT(error(azure_trace, kHeader + "2023-01-01 00:00:00,1,1\n2024-01-01 00:00:00,1,1\n"),
                HasSubstr(":3: TIMESTAMP = 2024-01-01 00:00:00: must be within 100 days"));
    EXPECT_THAT(error(azure_trace, ""), HasSubstr(": must have a header line, is empty"));
}

// Of five lines two are wrong: three requests, two counted.
TEST_F(TraceTest, BadLinesAreSkippedAndCountedWhereAskedFor) {
    const RequestStream stream =
        open(azure_trace, kHeader + "1,1,1\n2,x,1\n3,1,1\n2,1,1\n4,1,1\n", true);
    std::vector<std::int64_t> seconds;
    while (const auto request = stream.next()) {
        seconds.push_back(request->arrival.ps / 1'000'000'000'000);
    }
    EXPECT_THAT(seconds, ElementsAre(0, 2, 3));
    EXPECT_EQ(stream.skipped(), 2);
}

TEST_F(TraceTest, Mooncake) {
    const RequestStream stream = open(
        mooncake_trace,
        "{\"timestamp\": 100, \"input_length\": 1025, \"output_length\": 5, \"hash_ids\": [0, 7, "
        "9]}\n"
        "{\"chat\": \"a\\\"b\", \"x\": [1, null], \"hash_ids\":[],\"output_length\":1,"
        "\"input_length\":3,\"timestamp\":101, \"priority\": 2}\n");
    const auto first = stream.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->arrival.ps, 0);
    EXPECT_EQ(first->prompt_tokens, 1025);
    EXPECT_THAT(first->blocks, ElementsAre(0, 7, 9));
    const auto second = stream.next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->arrival.ps, 1'000'000'000);
    EXPECT_EQ(second->priority, 2);
    EXPECT_TRUE(second->blocks.empty());
    EXPECT_FALSE(stream.next());
    EXPECT_EQ(stream.block_tokens, 512);
}

TEST_F(TraceTest, MooncakeErrors) {
    const auto line = [](const std::string& members) { return "{" + members + "}\n"; };
    EXPECT_EQ(error(mooncake_trace, line("\"timestamp\": 1, \"input_length\": 1")),
              ":1: output_length is missing");
    EXPECT_EQ(
        error(mooncake_trace, line("\"timestamp\": 1, \"input_length\": 0, \"output_length\": 1")),
        ":1: input_length = 0: must be a whole number from 1 to 1000000000");
    EXPECT_EQ(error(mooncake_trace, line("\"timestamp\": 1, \"input_length\": 512, "
                                         "\"output_length\": 1, \"hash_ids\": [1, 2]")),
              ":1: hash_ids names 2 blocks of 512 tokens: must be at most the 1 of input_length");
    EXPECT_EQ(error(mooncake_trace, "{\"timestamp\": 1, \"input_len"),
              ":1: must be a JSON object, is wrong at \"input_len\"");
    EXPECT_EQ(error(mooncake_trace, line("\"timestamp\": 1, \"timestamp\": 2")),
              ":1: timestamp is given twice");
    // Members that are not asked for may be anything, but no deeper than a parser's stack.
    const std::string whole =
        "\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1, \"x\": ";
    EXPECT_EQ(error(mooncake_trace, line(whole + "{\"a\": [1, {}], \"b\": \"}\"}")), "");
    EXPECT_EQ(error(mooncake_trace, line(whole + std::string(400'000, '['))),
              ":1: is nested more than 64 deep");
    EXPECT_EQ(error(mooncake_trace, "[1]\n"), ":1: must be a JSON object, is wrong at \"[1]\"");
    EXPECT_EQ(error(mooncake_trace, line("\"hash_ids\": [-1]")),
              ":1: must be a JSON object, is wrong at \"-1]}\"");
    EXPECT_THAT(error(mooncake_trace, std::string(2 << 20, 'x')),
                HasSubstr(":1: must be a line of at most 1048576 bytes"));
    EXPECT_THAT(error(mooncake_trace, "\xff\xfe{\n"), HasSubstr("is UTF-16"));
}

TEST_F(TraceTest, LengthsStartAgainAtTheEnd) {
    std::ofstream(file_) << "num_prefill_tokens,num_decode_tokens,pd_ratio\n10,2,5\n11.0,3,4\n";
    const auto next = length_trace(file_);
    EXPECT_EQ(next().prompt_tokens, 10);
    EXPECT_EQ(next().output_tokens, 3);
    EXPECT_EQ(next().prompt_tokens, 10);
    std::ofstream(file_) << "num_prefill_tokens,num_decode_tokens\n";
    const auto empty = length_trace(file_);
    EXPECT_THROW(empty(), InputError);
}

// 1, 2, 4 s as fast again: 0, 0.5, 1.5 s. Twice over: the second time begins at 1.5 + 1.5 / 3 s.
TEST_F(TraceTest, ScaledRepeatedAndLimited) {
    std::ofstream(file_) << kHeader << "1,1,1\n2,1,1\n4,1,1\n";
    const auto fast = [this] { return with_rate_scale(azure_trace(file_), 2); };
    const RequestStream stream = limited(repeated(fast, 2), 5);
    std::vector<std::int64_t> milliseconds;
    while (const auto request = stream.next()) {
        milliseconds.push_back(request->arrival.ps / 1'000'000'000);
    }
    EXPECT_THAT(milliseconds, ElementsAre(0, 500, 1500, 2000, 2500));
    const RequestStream early = limited(fast(), 10, SimTime{500'000'000'000});
    EXPECT_TRUE(early.next());
    EXPECT_TRUE(early.next());
    EXPECT_FALSE(early.next());
    EXPECT_FALSE(early.next());
}

// 1, 2, 4 s: a pass takes 3 s and a mean distance of 1 s. Slowed down a million times its last
// request comes at 3e6 s, in the third pass at 11e6 s: beyond the 9e6 s of simulated time.
TEST_F(TraceTest, ArrivalsStayInTheRangeOfTime) {
    std::ofstream(file_) << kHeader << "1,1,1\n2,1,1\n4,1,1\n";
    const auto count = [](const RequestStream& stream) {
        int n = 0;
        while (stream.next()) ++n;
        return n;
    };
    const auto slow = [this] { return with_rate_scale(azure_trace(file_), 1e-6); };
    EXPECT_EQ(count(within_range(slow(), "w")), 3);
    EXPECT_EQ(count(within_range(repeated(slow, 2), "w")), 6);
    EXPECT_THROW(count(within_range(repeated(slow, 3), "w")), InputError);
    EXPECT_EQ(count(limited(repeated(slow, 3), 100, kLatestArrival)), 8);
    // Known after the first pass: an error before anything is played again.
    const RequestStream early = repeated(slow, 3, "s.json: repeat = 3");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(early.next());
    EXPECT_THROW(early.next(), InputError);
    EXPECT_EQ(arrival_after(kLatestArrival, 1).ps, kLatestArrival.ps + 1);
    EXPECT_EQ(arrival_after(SimTime{5}, 1e300).ps, kLatestArrival.ps + 1);
    EXPECT_EQ(arrival_after(SimTime{5}, 1).ps, 1'000'000'000'005);
}

}  // namespace
}  // namespace orrery
