// The runs that are committed, replayed with the profile of the same card: errors within
// bounds.json, and the figures of the reports are those of today's replay.

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "calibrate/closed_loop/comparison.hpp"
#include "core/config.hpp"
#include "model/read_config.hpp"

namespace orrery::closed_loop {
namespace {

// Each parameter names a profile.
class CommittedRun : public ::testing::TestWithParam<const char*> {
  protected:
    std::vector<RunComparison> runs() const {
        const OperatorTimeModel compute(load_accelerator(GetParam(), "hw_profiles"));
        const CommunicationCost communication(load_cluster("h800_ib_2048", "hw_profiles"));
        return compare(
            read_measured_loop(fmt::format("reports/measured/closed_loop_{}.json", GetParam())),
            load_model("scenarios/models/deepseek_v3.json"), compute, communication);
    }
};

TEST_P(CommittedRun, IsPredictedWithinItsBounds) {
    const ConfigNode bounds = ConfigNode::load("tests/closed_loop/bounds.json");
    const auto runs = this->runs();
    ASSERT_EQ(runs.size(), 10U);
    for (const RunComparison& r : runs) {
        const double bound = bounds.at(r.clock).at(r.run).as_number();
        EXPECT_LE(std::fabs(r.error()), bound)
            << r.clock << " " << r.run << ": " << r.measured_us << " us measured, "
            << r.predicted_us << " predicted";
        // What was asked for: 3 % in sequence, 5 % overlapped.
        if (r.run == "F+B+W") EXPECT_LE(bound, 0.03);
        if (r.run == "F&B") EXPECT_LE(bound, 0.05);
    }
}

// orrery-closed-loop-compare MEASURED PROFILE > REPORT, to the percent that the report is quoted
// with.
TEST_P(CommittedRun, HasAReportOfTheseFigures) {
    const std::string report =
        read_text_file(fmt::format("reports/closed_loop_{}.md", GetParam()), "the report");
    for (const RunComparison& r : runs()) {
        const std::string row =
            fmt::format("| {} | {} | {:.1f} (+-", r.run, r.clock, r.measured_us);
        const std::size_t at = report.find(row);
        ASSERT_NE(at, std::string::npos) << row << ": write the report again";
        const std::string line = report.substr(at, report.find('\n', at) - at);
        const std::size_t error = line.find(" % | ");
        const double shown = std::stod(line.substr(line.rfind("| ", error) + 2));
        EXPECT_NEAR(shown, 100 * r.error(), 0.25) << line << ": write the report again";
    }
}

INSTANTIATE_TEST_SUITE_P(Cards, CommittedRun, ::testing::Values("h100_sxm5", "h200_sxm"));

}  // namespace
}  // namespace orrery::closed_loop
