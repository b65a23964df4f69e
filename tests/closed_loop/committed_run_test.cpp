// The run that is committed, replayed with the committed profile: errors within bounds.json, and
// the figures of the report are those of today's replay.

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "calibrate/closed_loop/comparison.hpp"
#include "core/config.hpp"
#include "model/read_config.hpp"

namespace orrery::closed_loop {
namespace {

const char* const kMeasured = "reports/measured/closed_loop_h100_sxm5.json";
const char* const kReport = "reports/closed_loop_h100_sxm5.md";

std::vector<RunComparison> committed_runs() {
    const OperatorTimeModel compute(load_accelerator("h100_sxm5", "hw_profiles"));
    const CommunicationCost communication(load_cluster("h800_ib_2048", "hw_profiles"));
    return compare(read_measured_loop(kMeasured), load_model("scenarios/models/deepseek_v3.json"),
                   compute, communication);
}

TEST(CommittedRun, IsPredictedWithinItsBounds) {
    const ConfigNode bounds = ConfigNode::load("tests/closed_loop/bounds.json");
    const auto runs = committed_runs();
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

// orrery-closed-loop-compare MEASURED > REPORT, to the percent that the report is quoted with.
TEST(CommittedRun, HasAReportOfTheseFigures) {
    const std::string report = read_text_file(kReport, "the report");
    for (const RunComparison& r : committed_runs()) {
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

}  // namespace
}  // namespace orrery::closed_loop
