// --set key=value: overriding members of a document that has been loaded.

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

template <class F>
std::string message_of(F read) {
    try {
        read();
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

ConfigNode document() {
    return ConfigNode::parse(R"({"plan": {"tp": 1, "schedule": "1f1b"}, "list": [1]})", "a.json");
}

TEST(ConfigSet, ReplacesAddsAndCreatesObjectsOnTheWay) {
    ConfigNode root = document();
    root.set("plan.tp", "8");
    root.set("cluster.nic.bandwidth", "400 Gb/s");
    root.set("cluster.slow_ranks", R"([{"rank": 77, "factor": 1.1}])");
    root.set("name", "two words");
    EXPECT_EQ(root.at("plan").at("tp").as_integer(), 8);
    EXPECT_EQ(root.at("plan").at("schedule").as_string(), "1f1b");
    EXPECT_EQ(root.at("cluster").at("nic").at("bandwidth").as_string(), "400 Gb/s");
    EXPECT_EQ(root.at("cluster").at("slow_ranks").at(0).at("factor").as_number(), 1.1);
    EXPECT_EQ(root.at("name").as_string(), "two words");
}

// An element of a list by the name it has, or by its number from 0.
TEST(ConfigSet, ReachesElementsOfLists) {
    ConfigNode root = ConfigNode::parse(
        R"({"pools": [{"name": "prefill", "nodes": 4}, {"name": "decode", "nodes": 18}, {}]})",
        "a.json");
    root.set("pools.decode.nodes", "36");
    root.set("pools.0.nodes", "2");
    root.set("pools.2.name", "third");
    EXPECT_EQ(root.at("pools").at(0).at("nodes").as_integer(), 2);
    EXPECT_EQ(root.at("pools").at(1).at("nodes").as_integer(), 36);
    EXPECT_EQ(root.at("pools").at(2).at("name").as_string(), "third");
    EXPECT_EQ(message_of([&] { root.set("pools.router.nodes", "1"); }),
              "--set pools.router.nodes=1: pools has no element named or numbered router");
    EXPECT_EQ(message_of([&] { root.set("pools.3.nodes", "1"); }),
              "--set pools.3.nodes=1: pools has no element named or numbered 3");
    root.set("pools.prefill.nodes", "0", "--over pools.prefill.nodes");
    EXPECT_EQ(message_of([&] { (void)root.at("pools").at(0).at("nodes").as_integer(1); }),
              "--over pools.prefill.nodes = 0: must be >= 1");
}

// JSON where it parses as JSON, text otherwise.
TEST(ConfigSet, ValuesAreJsonOrText) {
    ConfigNode root = document();
    root.set("a", "true");
    root.set("b", "1f1b");
    root.set("c", "\"8\"");
    root.set("d", "");
    root.set("e", "1e999");
    EXPECT_TRUE(root.at("a").as_bool());
    EXPECT_EQ(root.at("b").as_string(), "1f1b");
    EXPECT_EQ(root.at("c").as_string(), "8");
    EXPECT_EQ(root.at("d").as_string(), "");
    EXPECT_EQ(root.at("e").as_string(), "1e999");
}

TEST(ConfigSet, NullGivesTheDefaultBack) {
    ConfigNode root = document();
    root.set("plan.tp", "null");
    EXPECT_FALSE(root.at("plan").has("tp"));
}

TEST(ConfigSet, TheLastOneWins) {
    ConfigNode root = document();
    root.set("plan.tp", "2");
    root.set("plan.tp", "4");
    EXPECT_EQ(root.at("plan").at("tp").as_integer(), 4);
}

// Copies are independent: a comparison loads once and sets many times.
TEST(ConfigSet, CopiesAndChildrenMadeBeforeDoNotChange) {
    const ConfigNode original = document();
    const ConfigNode plan = original.at("plan");
    ConfigNode copy = original;
    copy.set("plan.tp", "8");
    EXPECT_EQ(original.at("plan").at("tp").as_integer(), 1);
    EXPECT_EQ(plan.at("tp").as_integer(), 1);
    EXPECT_EQ(copy.at("plan").at("tp").as_integer(), 8);
    EXPECT_EQ(copy.file(), "a.json");
}

TEST(ConfigSet, NothingCountsAsReadAfterwards) {
    ConfigNode root = document();
    root.at("plan").accept_all();
    root.set("x", "1");
    EXPECT_EQ(message_of([&] { root.reject_unknown_keys(); }).substr(0, 12), "a.json: plan");
}

TEST(ConfigSet, AWrongValueIsNamedLikeAnyOther) {
    ConfigNode root = document();
    root.set("plan.tp", "0");
    root.set("plan.tpp", "4");
    EXPECT_EQ(message_of([&] { root.at("plan").at("tp").as_integer(1); }),
              "a.json: plan.tp = 0: must be >= 1");
    EXPECT_EQ(message_of([&] {
                  const ConfigNode plan = root.at("plan");
                  plan.at("schedule").as_string();
                  plan.at("tp").as_integer();
                  root.at("list").accept_all();
                  root.reject_unknown_keys();
              }),
              "a.json: plan.tpp = 4: is not a known key; did you mean tp?");
}

// What set() is told to name stands for file and path, also of what lies below and of copies.
TEST(ConfigSet, MessagesNameThePlaceThatWasGiven) {
    ConfigNode root = document();
    root.set("plan", R"({"tp": 0, "stages": [{"layers": 1}]})", "--set plan");
    ConfigNode copy = root;
    copy.set("plan.pp", "2");
    EXPECT_EQ(message_of([&] { copy.at("plan").at("tp").as_integer(1); }),
              "--set plan.tp = 0: must be >= 1");
    EXPECT_EQ(
        message_of([&] { root.at("plan").at("stages").at(std::size_t{0}).at("layers").as_bool(); }),
        "--set plan.stages[0].layers = 1: must be true or false");
    EXPECT_EQ(message_of([&] { root.at("plan").at("dp"); }), "--set plan.dp: is missing");
    EXPECT_EQ(root.at("list").place(), "a.json: list");
    EXPECT_EQ(root.place("planes"), "a.json: planes");
    EXPECT_EQ(message_of([&] { root.set("list.1", "1", "--over list.1"); }),
              "--over list.1=1: list has no element named or numbered 1");
    root.set("plan", "1");  // by the program: still what the user gave
    EXPECT_EQ(root.at("plan").place(), "--set plan");
}

// Wrong by itself, or wrong beside others.
TEST(ConfigSet, MistakesAreToldApart) {
    const ConfigNode root = document();
    EXPECT_THROW(root.at("name"), MalformedError);
    EXPECT_THROW(root.at("plan").at("tp").as_integer(2), MalformedError);
    EXPECT_THROW(root.at("plan").at("schedule").as_choice({"gpipe", "zb1p"}), MalformedError);
    EXPECT_EQ(root.at("plan").at("schedule").as_choice({"gpipe", "1f1b"}), 1u);
    EXPECT_THROW(root.at("plan").at("tp").as_quantity<Bytes>(), MalformedError);
    EXPECT_THROW(ConfigNode::parse("{", "b.json"), MalformedError);
    try {
        root.at("plan").at("tp").fail("must divide");
        FAIL();
    } catch (const MalformedError&) {
        FAIL();
    } catch (const InputError& e) {
        EXPECT_STREQ(e.what(), "a.json: plan.tp = 1: must divide");
    }
}

TEST(ConfigSet, TextStaysText) {
    ConfigNode root = document();
    root.set_text("name", "\"5\"");
    EXPECT_EQ(root.at("name").as_string(), "\"5\"");
}

TEST(ConfigSet, ImpossiblePathsAreRefusedAndChangeNothing) {
    ConfigNode root = document();
    EXPECT_EQ(message_of([&] { root.set("plan.tp.x", "1"); }),
              "--set plan.tp.x=1: plan.tp is not an object");
    EXPECT_EQ(message_of([&] { root.set("list.1", "1"); }),
              "--set list.1=1: list has no element named or numbered 1");
    for (const char* path : {"", ".", "plan.", ".plan", "plan..tp"}) {
        EXPECT_EQ(message_of([&] { root.set(path, "1"); }),
                  std::string("--set ") + path + "=1: the key has an empty part");
    }
    EXPECT_EQ(root.dump(-1), document().dump(-1));
}

}  // namespace
}  // namespace orrery
