#include "core/sourced.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

TEST(Origin, NamesGoBothWays) {
    for (const Origin origin : {Origin::measured, Origin::specified, Origin::published,
                                Origin::derived, Origin::given, Origin::assumed}) {
        EXPECT_EQ(parse_origin(to_string(origin)), origin);
    }
    EXPECT_THROW(parse_origin("guessed"), std::invalid_argument);
    EXPECT_THROW(parse_origin(""), std::invalid_argument);
    EXPECT_THROW(parse_origin("Measured"), std::invalid_argument);
}

TEST(Origin, TheWeakestWins) {
    EXPECT_EQ(weakest(Origin::measured, Origin::published), Origin::published);
    EXPECT_EQ(weakest(Origin::assumed, Origin::measured), Origin::assumed);
    EXPECT_EQ(weakest(Origin::derived, Origin::given), Origin::given);
}

TEST(Sourced, ReadsValueOriginAndSource) {
    const ConfigNode node = ConfigNode::parse(
        R"({"nic": {"value": "400 Gb/s", "origin": "specified", "source": "data sheet"}})", "p");
    const auto nic = node.at("nic").as_sourced<BytesPerSecond>();
    EXPECT_DOUBLE_EQ(nic.value.value(), 50e9);
    EXPECT_EQ(nic.from.origin, Origin::specified);
    EXPECT_EQ(nic.from.source, "data sheet");
}

// Each text lacks or spoils one of the three members.
TEST(Sourced, EveryMemberIsRequired) {
    for (const char* text : {
             R"({"origin": "measured", "source": "x"})",
             R"({"value": "1 s", "source": "x"})",
             R"({"value": "1 s", "origin": "measured"})",
             R"({"value": "1 s", "origin": "measured", "source": ""})",
             R"({"value": "1 s", "origin": "guessed", "source": "x"})",
             R"({"value": 1, "origin": "measured", "source": "x"})",
             R"({"value": "1 s", "origin": "measured", "source": "x", "sauce": "y"})",
             R"("1 s")",
         }) {
        EXPECT_THROW(ConfigNode::parse(text, "p").as_sourced<Seconds>(), InputError) << text;
    }
}

}  // namespace
}  // namespace orrery
