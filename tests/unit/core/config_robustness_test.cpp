// Whatever bytes stand in a file, reading it gives a document or one line of InputError.

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/random.hpp"

namespace orrery {
namespace {

std::string message_of(std::string_view text) {
    try {
        ConfigNode::parse(text, "a.json");
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

// Parses, and where that works walks the document as a reader would.
void read_all(std::string_view text) {
    try {
        ConfigNode root = ConfigNode::parse(text, "fuzz.json");
        EXPECT_FALSE(root.dump().empty());
        root.accept_all();
        root.reject_unknown_keys();
        root.at("plan").at("tp").as_integer(1, 8);
        root.set("plan.tp", "3");
    } catch (const InputError& e) {
        EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
        EXPECT_LT(std::string(e.what()).size(), 600U);
    }
}

TEST(ConfigRobustness, MalformedTextIsNamedByLineAndColumn) {
    EXPECT_EQ(message_of("{\n  \"a\": 1,\n  }").substr(0, 31), "a.json:3:3: is not valid JSON: ");
    EXPECT_EQ(message_of("").substr(0, 30), "a.json:1:1: is not valid JSON:");
    EXPECT_EQ(message_of("[1, 2").substr(0, 30), "a.json:1:6: is not valid JSON:");
    EXPECT_NE(message_of("{\"a\": 1 \"b\": 2}").find("expected '}'"), std::string::npos);
    EXPECT_NE(message_of("{} {}").find("is not valid JSON"), std::string::npos);
}

TEST(ConfigRobustness, NumbersBeyondDoubleAreRefused) {
    EXPECT_EQ(message_of(R"({"a": 1e999})"),
              "a.json: is not valid JSON: number overflow parsing '1e999'");
    EXPECT_NE(message_of(R"({"a": NaN})").find("is not valid JSON"), std::string::npos);
    EXPECT_NE(message_of(R"({"a": Infinity})").find("is not valid JSON"), std::string::npos);
}

TEST(ConfigRobustness, AKeyGivenTwiceIsRefused) {
    EXPECT_EQ(message_of(R"({"tp": 1, "pp": 2, "tp": 3})"),
              "a.json: tp: is given twice in one object");
    EXPECT_EQ(message_of(R"([{"tp": 1}, {"tp": 2, "x": {"tp": 3}}])"), "no error");
}

TEST(ConfigRobustness, DeepNestingIsRefusedNotFatal) {
    const std::string rule = "a.json: is nested more than 64 deep";
    EXPECT_EQ(message_of(std::string(100'000, '[')), rule);
    EXPECT_EQ(message_of(std::string(100'000, '[') + std::string(100'000, ']')), rule);
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    EXPECT_EQ(message_of(objects), rule);
    EXPECT_EQ(message_of(std::string(64, '[') + std::string(64, ']')), "no error");
    EXPECT_EQ(message_of(std::string(65, '[') + std::string(65, ']')), rule);
    ConfigNode root = ConfigNode::parse("{}", "a.json");
    EXPECT_THROW(root.set("a", std::string(100'000, '[')), InputError);
}

// A newline in a key must not split the message; long values are cut, at a whole character.
TEST(ConfigRobustness, MessagesStayOneShortLine) {
    const ConfigNode root =
        ConfigNode::parse("{\"a\\nb\\u0007\": \"" + std::string(1000, 'x') + "\"}", "a.json");
    try {
        root.reject_unknown_keys();
        FAIL();
    } catch (const InputError& e) {
        EXPECT_EQ(std::string(e.what()),
                  "a.json: a?b? = \"" + std::string(76, 'x') + "...: is not a known key");
    }
    std::string umlauts;
    for (int i = 0; i < 100; ++i) umlauts += "\u00e4";
    try {
        ConfigNode::parse("\"" + umlauts + "\"", "a.json").as_bool();
        FAIL();
    } catch (const InputError& e) {
        EXPECT_NE(std::string(e.what()).find("\u00e4...: must be"), std::string::npos);
    }
}

// Random bytes, random JSON punctuation, and a good document with bytes replaced, cut or doubled.
TEST(ConfigRobustness, RandomTextNeverCrashes) {
    const std::string alphabet = "{}[]\",:0123456789.eE+-truefalsnl \n\\/*u\x80\xff";
    const std::string good =
        R"({"plan": {"tp": 8, "x": [1, 2.5e3, null, true, "a\u00e4"]}, "s": "50 GB/s"})";
    for (std::uint64_t n = 0; n < 4000; ++n) {
        std::uint64_t draw = 0;
        const auto below = [&](std::size_t limit) {
            return static_cast<std::size_t>(counter_hash(1, n, draw++) % limit);
        };
        std::string noise(below(60), ' '), punctuation(below(60), ' '), mutated = good;
        for (char& c : noise) c = static_cast<char>(below(256));
        for (char& c : punctuation) c = alphabet[below(alphabet.size())];
        for (int change = 0; change < 3; ++change) {
            mutated[below(mutated.size())] = alphabet[below(alphabet.size())];
        }
        read_all(noise);
        read_all(punctuation);
        read_all(mutated);
        read_all(mutated.substr(0, below(mutated.size())));
        read_all(mutated + mutated.substr(below(mutated.size())));
    }
}

}  // namespace
}  // namespace orrery
