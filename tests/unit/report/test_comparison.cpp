#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "report/compare_table.hpp"
#include "report/validation_table.hpp"
#include "sample_result.hpp"

namespace orrery {

using testing::ContainsRegex;
using testing::HasSubstr;

namespace {

struct Pair {
    RunResult first = sample_result(), second = sample_result();
    Pair() { second.metrics[0].value = 2 * first.metrics[0].value; }
    std::vector<CompareColumn> columns() const {
        return {{{{"plan.schedule", "1f1b"}}, &first, ""},
                {{{"plan.schedule", "dualpipe"}}, &second, ""},
                {{{"plan.schedule", "odd"}},
                 nullptr,
                 "a.json: plan.schedule = \"odd\": must be known"}};
    }
};

}  // namespace

TEST(Comparison, ShowsTheChangeAgainstTheFirstCase) {
    const Pair pair;
    const std::string text = render_comparison("Sample", pair.columns(), {120, false, true});
    EXPECT_THAT(text, HasSubstr("Sample: plan.schedule"));
    EXPECT_THAT(text, ContainsRegex("time per step +20.31 s +40.62 s +\\+100.0 % +impossible"));
    EXPECT_THAT(text, HasSubstr("plan.schedule=odd is impossible: a.json: plan.schedule"));
}

TEST(Comparison, AllNumbersAreInJsonAndCsv) {
    const Pair pair;
    const ConfigNode root = ConfigNode::parse(comparison_json("Sample", pair.columns()), "c.json");
    EXPECT_EQ(root.at("cases").size(), 3U);
    const ConfigNode second = root.at("cases").at(1);
    EXPECT_EQ(second.at("settings").at("plan.schedule").as_string(), "dualpipe");
    EXPECT_EQ(second.at("result").at("metrics").at("step_time").at("value").as_number(), 40.624);
    EXPECT_THAT(root.at("cases").at(2).at("impossible").as_string(), HasSubstr("must be known"));
    const std::string csv = comparison_csv(pair.columns());
    EXPECT_THAT(csv, HasSubstr("plan.schedule,step_time (s),"));
    EXPECT_THAT(csv, HasSubstr("\ndualpipe,40.624,"));
}

// Errors: step +1.94 %, cost +2.03 %; median of two is their mean, 1.98 %.
TEST(ValidationTable, PrintsErrorsBoundsAndTheirMedian) {
    std::vector<ValidationReportCase> cases = {{"paper/table_4", sample_result()}};
    cases[0].bounds = {0.02, std::nullopt};
    const std::string text = render_validation(cases, {120, false, true});
    EXPECT_THAT(text, ContainsRegex("time per step +19.926 s +20.31 s +\\+1.9 % +2.0 % +A paper"));
    EXPECT_THAT(text, HasSubstr("2 figures in 1 cases: median |error| 2.0 %, largest 2.0 %"));
    EXPECT_TRUE(validation_passes(cases));
    cases[0].bounds = {0.01, std::nullopt};
    EXPECT_FALSE(validation_passes(cases));
    const ConfigNode root = ConfigNode::parse(validation_json(cases), "v.json");
    EXPECT_FALSE(root.at("passes").as_bool());
    EXPECT_FALSE(root.at("cases").at(0).at("figures").at(0).at("within_bound").as_bool());
}

// A figure that set constants is shown and marked, and its error is not counted: the other's stays.
TEST(ValidationTable, CalibrationFiguresAreShownAndNotCounted) {
    RunResult result = sample_result();
    for (PublishedFigure& figure : result.published) {
        figure.calibration = figure.metric == "step_time";
    }
    const std::vector<ValidationReportCase> cases = {{"a/case", result}};
    const std::string text = render_validation(cases, {120, false, true});
    EXPECT_THAT(text, HasSubstr("(calibration) "));
    EXPECT_THAT(text, HasSubstr("1 figures in 1 cases"));
    const ConfigNode root = ConfigNode::parse(validation_json(cases), "v.json");
    const ConfigNode figure = root.at("cases").at(std::size_t{0}).at("figures").at(std::size_t{0});
    EXPECT_EQ(figure.at("calibration").as_bool(), figure.at("metric").as_string() == "step_time");
}

TEST(ValidationTable, ChangedCasesHaveNoErrors) {
    std::vector<ValidationReportCase> cases = {{"paper/table_4", sample_result()}};
    cases[0].result.changed = {"plan.pp=8"};
    cases[0].bounds = {0.0001, std::nullopt};
    const std::string text = render_validation(cases, {120, false, true});
    EXPECT_EQ(text.find("Changed here: plan.pp=8. "), 0U);
    EXPECT_THAT(text, ContainsRegex("time per step +19.926 s +20.31 s +A paper"));
    EXPECT_EQ(text.find("median"), std::string::npos);
    EXPECT_TRUE(validation_passes(cases));
    const ConfigNode root = ConfigNode::parse(validation_json(cases), "v.json");
    const ConfigNode figure = root.at("cases").at(0).at("figures").at(0);
    EXPECT_FALSE(figure.at("describes_this_run").as_bool());
    EXPECT_FALSE(figure.has("error"));
}

TEST(ValidationTable, FailedCaseOrMissingPredictionFails) {
    std::vector<ValidationReportCase> cases = {{"a", sample_result()}};
    cases[0].result.published.push_back({"chunks", 1, "somewhere", ""});
    EXPECT_FALSE(validation_passes(cases));
    cases = {{"b", {}, "b.json: is missing"}};
    EXPECT_FALSE(validation_passes(cases));
    EXPECT_THAT(render_validation(cases, {100, false, true}), HasSubstr("b.json: is missing"));
}

}  // namespace orrery
