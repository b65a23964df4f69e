// Scenario files: bases, overrides, published figures, comparison axes, validation cases.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.hpp"
#include "study/compare.hpp"
#include "study/metrics.hpp"
#include "study/scenario.hpp"
#include "study/validate.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ScenarioFiles : public testing::Test {
  protected:
    void SetUp() override {
        const auto* info = testing::UnitTest::GetInstance()->current_test_info();
        dir_ = fs::temp_directory_path() /
               ("orrery_" + std::string(info->name()) + "_" + std::to_string(getpid()));
        fs::create_directories(dir_);
    }
    void TearDown() override { fs::remove_all(dir_); }
    fs::path put(const std::string& name, const std::string& text) const {
        fs::create_directories((dir_ / name).parent_path());
        std::ofstream(dir_ / name) << text;
        return dir_ / name;
    }
    // The message of the InputError that loading throws.
    static std::string error_of(const fs::path& file, const std::vector<std::string>& sets = {}) {
        try {
            load_scenario(file, sets);
        } catch (const InputError& e) {
            return e.what();
        }
        return "no error";
    }
    fs::path dir_;
};

constexpr const char* kBase = R"({"name": "base", "kind": "training",
    "train": {"sequences": 8, "sequence_length": 4096}, "cluster": {"slow_ranks": [1, 2]}})";

}  // namespace

TEST_F(ScenarioFiles, BaseIsMergedKeyByKeyAndListsAreReplaced) {
    put("base.json", kBase);
    const Scenario s = load_scenario(
        put("cases/a.json", R"({"base": "../base.json", "name": "a", "train": {"sequences": 16},
                               "cluster": {"slow_ranks": []}})"),
        {});
    EXPECT_EQ(s.name, "a");
    EXPECT_EQ(s.document.at("train").at("sequences").as_integer(), 16);
    EXPECT_EQ(s.document.at("train").at("sequence_length").as_integer(), 4096);
    EXPECT_EQ(s.document.at("cluster").at("slow_ranks").size(), 0U);
}

TEST_F(ScenarioFiles, OverridesApplyInOrderAndCreateKeys) {
    const Scenario s = load_scenario(
        put("a.json", kBase), {"train.sequences=1", "train.sequences=2", "plan.schedule=1f1b",
                               "cluster.slow_ranks=[{\"rank\": 7, \"factor\": 1.1}]"});
    EXPECT_EQ(s.document.at("train").at("sequences").as_integer(), 2);
    EXPECT_EQ(s.document.at("plan").at("schedule").as_string(), "1f1b");
    EXPECT_EQ(s.document.at("cluster").at("slow_ranks").at(0).at("rank").as_integer(), 7);
}

TEST_F(ScenarioFiles, ErrorsNameFileKeyValueAndRule) {
    EXPECT_THAT(error_of(dir_ / "none.json"), HasSubstr("none.json: cannot be opened for reading"));
    EXPECT_THAT(error_of(put("bad.json", "{\"name\": }")),
                HasSubstr("bad.json:1:10: is not valid"));
    EXPECT_THAT(error_of(put("list.json", "[]")), HasSubstr("must be an object"));
    EXPECT_THAT(error_of(put("a.json", "{}")), HasSubstr("name: is missing"));
    EXPECT_THAT(error_of(put("k.json", R"({"name": "x", "kind": "cooking"})")),
                HasSubstr("kind = \"cooking\": must be"));
    EXPECT_THAT(error_of(put("s.json", kBase), {"train.sequences"}),
                HasSubstr("--set train.sequences: must be key=value"));
    put("loop.json", R"({"base": "loop.json", "name": "x", "kind": "training"})");
    EXPECT_THAT(error_of(dir_ / "loop.json"), HasSubstr("must not name the scenario itself"));
    EXPECT_THAT(error_of(put("m.json", R"({"base": "gone.json"})")),
                HasSubstr("base = \"gone.json\": must be a file"));
}

TEST(PublishedFigures, AreReadInTheMetricsBaseUnit) {
    const ConfigNode node = ConfigNode::parse(
        R"([{"metric": "chunk_pair_time", "value": "129.012 ms", "citation": "c", "calibration": false},
            {"metric": "tokens_per_day", "value": "272.8e9 tokens/day", "citation": "c", "calibration": false},
            {"metric": "mfu_causal", "value": "38.94 %", "citation": "c", "calibration": false},
            {"metric": "gpu_hours", "value": "2664e3 h", "citation": "c", "calibration": false},
            {"metric": "cost", "value": "5.328 MUSD", "citation": "c", "calibration": false},
            {"metric": "dispatch_bandwidth", "value": "51 GB/s", "citation": "c", "calibration": false},
            {"metric": "step_time", "value": "1 s", "citation": "c", "calibration": true}])",
        "p.json");
    const std::vector<PublishedFigure> figures = read_published(node);
    ASSERT_EQ(figures.size(), 7U);
    EXPECT_DOUBLE_EQ(figures[0].value, 0.129012);
    EXPECT_DOUBLE_EQ(figures[1].value, 272.8e9);
    EXPECT_DOUBLE_EQ(figures[2].value, 0.3894);
    EXPECT_DOUBLE_EQ(figures[3].value, 2664e3);
    EXPECT_DOUBLE_EQ(figures[4].value, 5.328e6);
    EXPECT_DOUBLE_EQ(figures[5].value, 51e9);
    EXPECT_FALSE(figures[5].calibration);
    EXPECT_TRUE(figures[6].calibration);  // shown beside predictions, not counted as a test of them
}

TEST(PublishedFigures, WrongOnesAreErrors) {
    const auto read = [](const std::string& text) {
        return read_published(ConfigNode::parse("[" + text + "]", "p.json"));
    };
    EXPECT_THROW(
        read(R"({"metric": "speed", "value": "1 s", "citation": "c", "calibration": false})"),
        InputError);
    EXPECT_THROW(
        read(R"({"metric": "step_time", "value": "1 GB", "citation": "c", "calibration": false})"),
        InputError);
    EXPECT_THROW(
        read(R"({"metric": "step_time", "value": "1 s", "citation": "", "calibration": false})"),
        InputError);
    EXPECT_THROW(read(R"({"metric": "step_time", "value": "1 s", "citation": "c"})"), InputError);
    EXPECT_THROW(
        read(R"({"metric": "gpu_hours", "value": "1 s", "citation": "c", "calibration": false})"),
        InputError);
}

// 2 x 3 cases, the last axis fastest.
TEST(Compare, AxesGiveTheirCartesianProduct) {
    const auto cases = expand_cases({"a=1,2", "b=x,y,z"});
    ASSERT_EQ(cases.size(), 6U);
    using Settings = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(cases[1].settings, (Settings{{"a", "1"}, {"b", "y"}}));
    EXPECT_EQ(cases[5].settings, (Settings{{"a", "2"}, {"b", "z"}}));
}

TEST(Compare, CommasInsideValuesStay) {
    const auto cases = expand_cases({R"(r=[],[{"rank": 1, "factor": 2}])"});
    ASSERT_EQ(cases.size(), 2U);
    EXPECT_EQ(cases[1].settings[0].second, R"([{"rank": 1, "factor": 2}])");
}

TEST(Compare, AxesThatSayNothingAreErrors) {
    EXPECT_THROW(expand_cases({"a"}), InputError);
    EXPECT_THROW(expand_cases({"a=1,,2"}), InputError);
    EXPECT_THROW(expand_cases({"=1"}), InputError);
}

TEST_F(ScenarioFiles, ValidationCasesAreNamedByTheirPath) {
    put("v/paper/b.json", kBase);
    put("v/paper/a.json", kBase);
    put("v/report/c.json", kBase);
    put("v/notes.txt", "");
    const auto all = find_validation_cases(dir_ / "v", "");
    std::vector<std::string> names;
    for (const auto& which : all) names.push_back(which.name);
    EXPECT_THAT(names, ElementsAre("paper/a", "paper/b", "report/c"));
    EXPECT_EQ(find_validation_cases(dir_ / "v", "report").size(), 1U);
    EXPECT_THROW(find_validation_cases(dir_ / "v", "nothing"), InputError);
    EXPECT_THROW(find_validation_cases(dir_ / "w", ""), InputError);
}

TEST_F(ScenarioFiles, BoundsAreRelativeErrors) {
    const auto bounds =
        load_bounds(put("bounds.json", R"({"paper/a": {"step_time": 0.1, "cost": "5 %"}})"));
    EXPECT_EQ(bound_of(bounds, "paper/a", "step_time"), 0.1);
    EXPECT_EQ(bound_of(bounds, "paper/a", "cost"), 0.05);
    EXPECT_EQ(bound_of(bounds, "paper/a", "time_1f"), std::nullopt);
    EXPECT_EQ(bound_of(bounds, "paper/b", "cost"), std::nullopt);
    EXPECT_THROW(load_bounds(put("zero.json", R"({"a": {"cost": 0}})")), InputError);
}

}  // namespace orrery
