// result.json, timelines, and how files come to be.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "report/atomic_file.hpp"
#include "report/input_hash.hpp"
#include "report/json_writer.hpp"
#include "report/result_json.hpp"
#include "report/timeline.hpp"
#include "sample_result.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
  protected:
    void SetUp() override {
        const auto* info = testing::UnitTest::GetInstance()->current_test_info();
        dir_ = fs::temp_directory_path() /
               ("orrery_" + std::string(info->name()) + "_" + std::to_string(getpid()));
        fs::create_directories(dir_);
    }
    void TearDown() override { fs::remove_all(dir_); }
    std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
    }
    static std::string text_of(const fs::path& file) {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
    fs::path dir_;
};

}  // namespace

TEST(JsonWriter, NestsIndentsAndEscapes) {
    JsonWriter json;
    json.begin_object().field("a", "x\"y\n").field("b", true).field("n", std::int64_t{-3});
    json.key("list").begin_array(true).value(0.1).value(1e300).null().end_array();
    json.key("empty").begin_array().end_array().end_object();
    EXPECT_EQ(json.text(),
              "{\n  \"a\": \"x\\\"y\\n\",\n  \"b\": true,\n  \"n\": -3,\n"
              "  \"list\": [0.1, 1e+300, null],\n  \"empty\": []\n}\n");
}

TEST(JsonWriter, NumbersReadBackToTheSameDouble) {
    for (const double value : {1.0 / 3.0, 19.926, 5e-324, 272.8e9}) {
        EXPECT_EQ(ConfigNode::parse(json_number(value), "t").as_number(), value);
    }
    EXPECT_EQ(json_number(1.0 / 0.0), "null");
}

TEST(ResultJson, HasTheDocumentedKeys) {
    const ConfigNode root = ConfigNode::parse(result_json(sample_result()), "result.json");
    EXPECT_EQ(root.at("name").as_string(), "Sample step on 2,048 GPUs");
    EXPECT_EQ(root.at("scenario").at("name").as_string(), "sample");
    EXPECT_EQ(root.at("used").at("run").at("fold").as_string(), "auto");
    EXPECT_EQ(root.at("events").as_integer(), 1234567);
    EXPECT_EQ(root.at("operators").as_integer(), 230000000);
    EXPECT_EQ(root.at("ranks_simulated").as_integer(), 16);
    const ConfigNode step = root.at("metrics").at("step_time");
    EXPECT_EQ(step.at("value").as_number(), 20.312);
    EXPECT_EQ(step.at("unit").as_string(), "s");
    EXPECT_EQ(step.at("origin").as_string(), "assumed");
    EXPECT_NEAR(root.at("published").at(0).at("error").as_number(), 0.386 / 19.926, 1e-12);
    EXPECT_EQ(root.at("breakdown").at("per_rank").at("rows").at(1).at(1).as_number(), 3.0);
    EXPECT_EQ(root.at("fingerprint").as_string(), "00ff");
    EXPECT_EQ(root.at("program").at("commit").as_string(), "abcdef");
    EXPECT_TRUE(root.at("program").at("dirty").as_bool());
}

// 1 us and 1 ps is 1.000001 us; 19.926 s is 19,926,000 us.
TEST_F(Files, TimelineKeepsPicosecondsAndNamesTracks) {
    Timeline timeline;
    timeline.tracks = {{5, 0, "compute"}, {5, 1, "communication"}};
    timeline.spans = {{5, 0, 1'000'001, 12, "layer 1 \"q\"", "gemm", "F of micro-batch 0"},
                      {5, 1, 19'926'000'000'000, 1, "dispatch", "communication", ""}};
    write_timeline(timeline, dir_ / "t.json");
    const ConfigNode events =
        ConfigNode::parse(text_of(dir_ / "t.json"), "t.json").at("traceEvents");
    ASSERT_EQ(events.size(), 2 + 2 * 2 + 2U);
    EXPECT_EQ(events.at(0).at("args").at("name").as_string(), "rank 5");
    EXPECT_EQ(events.at(2).at("args").at("name").as_string(), "compute");
    const ConfigNode span = events.at(6);
    EXPECT_EQ(span.at("ph").as_string(), "X");
    EXPECT_EQ(span.at("ts").as_number(), 1.000001);
    EXPECT_EQ(span.at("dur").as_number(), 0.000012);
    EXPECT_EQ(span.at("name").as_string(), "layer 1 \"q\"");
    EXPECT_EQ(events.at(7).at("ts").as_number(), 19926000.0);
    EXPECT_EQ(files(), 1U);
}

TEST_F(Files, AppearOnlyWhenComplete) {
    {
        AtomicFile file(dir_ / "sub" / "a.json");
        file.write("half");
        EXPECT_FALSE(fs::exists(dir_ / "sub" / "a.json"));
    }
    EXPECT_TRUE(fs::is_empty(dir_ / "sub"));
    write_file(dir_ / "a.json", "first");
    write_file(dir_ / "a.json", "second");
    EXPECT_EQ(text_of(dir_ / "a.json"), "second");
}

TEST_F(Files, TwoWritersOfOneFileDoNotMix) {
    AtomicFile one(dir_ / "a.json"), two(dir_ / "a.json");
    one.write("one");
    two.write("two");
    one.commit();
    EXPECT_EQ(text_of(dir_ / "a.json"), "one");
    two.commit();
    EXPECT_EQ(text_of(dir_ / "a.json"), "two");
    EXPECT_EQ(files(), 1U);
}

TEST_F(Files, UnfinishedOnesCanBeRemovedFromASignalHandler) {
    AtomicFile file(dir_ / "a.json");
    EXPECT_EQ(files(), 1U);
    remove_unfinished_files();
    EXPECT_EQ(files(), 0U);
}

// FNV-1a of "a" is a published test vector: af63dc4c8601ec8c.
TEST_F(Files, InputsAreHashedByTheirBytes) {
    write_file(dir_ / "one", "a");
    EXPECT_EQ(input_hash(dir_ / "one"), "af63dc4c8601ec8c");
    write_file(dir_ / "p" / "x.json", "1");
    const std::string before = input_hash(dir_ / "p");
    write_file(dir_ / "p" / "notes.txt", "not a profile");
    EXPECT_EQ(input_hash(dir_ / "p"), before);
    write_file(dir_ / "p" / "sub" / "y.json", "2");
    EXPECT_NE(input_hash(dir_ / "p"), before);
    EXPECT_THROW(input_hash(dir_ / "gone"), InputError);
}

TEST_F(Files, PlaceThatCannotBeWrittenIsBadInput) {
    EXPECT_THROW(write_file(dir_, "x"), InputError);
    write_file(dir_ / "file", "x");
    EXPECT_THROW(write_file(dir_ / "file" / "below", "x"), InputError);
}

}  // namespace orrery
