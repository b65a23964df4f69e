#include "core/config.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace orrery {
namespace {

// The one line a user reads when `read` fails.
template <class F>
std::string message_of(F read) {
    try {
        read();
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

ConfigNode parse(std::string_view text) { return ConfigNode::parse(text, "a.json"); }

TEST(Config, ReadsScalarsListsAndNesting) {
    const ConfigNode root = parse(R"({
        // comments are allowed
        "name": "x", "fold": true, "ratio": 0.5, /* here too */
        "plan": {"tp": 8, "stages": [1, 2.0, 3]}, "nothing": null})");
    EXPECT_EQ(root.at("name").as_string(), "x");
    EXPECT_TRUE(root.at("fold").as_bool());
    EXPECT_EQ(root.at("ratio").as_number(), 0.5);
    EXPECT_EQ(root.at("plan").at("tp").as_integer(1, 8), 8);
    EXPECT_EQ(root.at("plan").at("stages").size(), 3U);
    EXPECT_EQ(root.at("plan").at("stages").at(1).as_integer(), 2);
    EXPECT_EQ(root.at("plan").at("stages").at(1).path(), "plan.stages[1]");
    EXPECT_EQ(root.file(), "a.json");
    EXPECT_EQ(root.path(), "");
    EXPECT_EQ(root.keys(), (std::vector<std::string>{"name", "fold", "ratio", "plan", "nothing"}));
    EXPECT_FALSE(root.has("nothing"));
    EXPECT_FALSE(root.find("absent").has_value());
    EXPECT_EQ(root.at("plan").dump(-1), R"({"tp":8,"stages":[1,2.0,3]})");
}

TEST(Config, QuantitiesAndRatios) {
    const ConfigNode root = parse(R"({"nic": "400 Gb/s", "mfu": 0.4, "share": "40 %", "n": 50})");
    EXPECT_EQ(root.at("nic").as_quantity<BytesPerSecond>(), BytesPerSecond(50e9));
    EXPECT_EQ(root.at("mfu").as_quantity<Ratio>(), Ratio(0.4));
    EXPECT_EQ(root.at("share").as_quantity<Ratio>(), Ratio(0.4));
    EXPECT_EQ(message_of([&] { root.at("n").as_quantity<BytesPerSecond>(); }),
              "a.json: n = 50: must be a data rate such as \"50 GB/s\" or \"400 Gb/s\"");
    EXPECT_EQ(message_of([&] { root.at("nic").as_quantity<Seconds>(); }),
              "a.json: nic = \"400 Gb/s\": must be a time such as \"25 us\"");
}

TEST(Config, ErrorsNameFilePathValueAndRule) {
    const ConfigNode root = parse(R"({"plan": {"tp": 0, "ep": 1.5, "name": 7, "list": [1, "two"]},
                                      "big": 1e30, "huge": 18446744073709551615, "text": "8"})");
    const ConfigNode plan = root.at("plan");
    EXPECT_EQ(message_of([&] { plan.at("tp").as_integer(1); }),
              "a.json: plan.tp = 0: must be >= 1");
    EXPECT_EQ(message_of([&] { plan.at("tp").as_integer(-9, -1); }),
              "a.json: plan.tp = 0: must be <= -1");
    EXPECT_EQ(message_of([&] { plan.at("ep").as_integer(); }),
              "a.json: plan.ep = 1.5: must be a whole number");
    EXPECT_EQ(message_of([&] { plan.at("name").as_string(); }),
              "a.json: plan.name = 7: must be text");
    EXPECT_EQ(message_of([&] { plan.at("list").at(1).as_number(); }),
              "a.json: plan.list[1] = \"two\": must be a number");
    EXPECT_EQ(message_of([&] { plan.at("list").at(2); }),
              "a.json: plan.list = [1,\"two\"]: must have at least 3 elements");
    EXPECT_EQ(message_of([&] { plan.at("pp"); }), "a.json: plan.pp: is missing");
    EXPECT_EQ(message_of([&] { plan.at("tp").as_bool(); }),
              "a.json: plan.tp = 0: must be true or false");
    EXPECT_EQ(message_of([&] { plan.at("tp").elements(); }),
              "a.json: plan.tp = 0: must be an array");
    EXPECT_EQ(message_of([&] { plan.at("tp").keys(); }), "a.json: plan.tp = 0: must be an object");
    EXPECT_EQ(message_of([&] { root.at("big").as_integer(1, 100); }),
              "a.json: big = 1e+30: must be <= 100");
    EXPECT_EQ(message_of([&] { root.at("huge").as_integer(1, 100); }),
              "a.json: huge = 18446744073709551615: must be <= 100");
    EXPECT_EQ(message_of([&] { root.at("text").as_integer(); }),
              "a.json: text = \"8\": must be a whole number");
}

TEST(Config, UnknownKeysAreErrorsThatHelp) {
    const auto read = [](std::string_view text) {
        const ConfigNode root = parse(text);
        const ConfigNode plan = root.at("plan");
        (void)plan.find("micro_batch_size");
        (void)plan.find("schedule");
        root.reject_unknown_keys();
    };
    EXPECT_EQ(message_of([&] { read(R"({"plan": {"schedule": "1f1b"}})"); }), "no error");
    EXPECT_EQ(
        message_of([&] { read(R"({"plan": {"micro_batchsize": 2}})"); }),
        "a.json: plan.micro_batchsize = 2: is not a known key; did you mean micro_batch_size?");
    EXPECT_EQ(message_of([&] { read(R"({"plan": {"colour": "red"}})"); }),
              "a.json: plan.colour = \"red\": is not a known key; known here: micro_batch_size, "
              "schedule");
    EXPECT_EQ(message_of([&] { read(R"({"plan": {}, "x": 1})"); }),
              "a.json: x = 1: is not a known key; known here: plan");
}

TEST(Config, UnknownKeysInListsOfObjects) {
    const ConfigNode root = parse(R"({"slow": [{"rank": 1}, {"rank": 2, "fator": 3}]})");
    for (const ConfigNode& entry : root.at("slow").elements()) {
        entry.at("rank").as_integer();
        (void)entry.find("factor");
    }
    EXPECT_EQ(message_of([&] { root.reject_unknown_keys(); }),
              "a.json: slow[1].fator = 3: is not a known key; did you mean factor?");
    root.at("slow").accept_all();
    EXPECT_EQ(message_of([&] { root.reject_unknown_keys(); }), "no error");
}

TEST(Config, MissingAndUnreadableFiles) {
    EXPECT_EQ(message_of([] { ConfigNode::load("no/such.json"); }),
              "no/such.json: cannot be opened for reading");
    EXPECT_EQ(message_of([] { ConfigNode::load("sim"); }),
              "sim: is a directory, must be a JSON file");
}

TEST(Config, LoadReadsAFileAndNamesIt) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("orrery_config_test_" + std::to_string(std::random_device{}()) + ".json");
    std::ofstream(file) << "\xEF\xBB\xBF{\"tp\": 3}";  // a byte order mark is no part of the text
    const ConfigNode root = ConfigNode::load(file);
    EXPECT_EQ(root.at("tp").as_integer(), 3);
    EXPECT_EQ(root.file(), file.string());
    std::filesystem::remove(file);
}

}  // namespace
}  // namespace orrery
