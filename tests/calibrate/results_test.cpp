#include "calibrate/results.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

using testing::HasSubstr;

Heading heading(const std::string& device, const std::string& date) {
    return {{"device", device}, {"date", date}};
}
Table table(std::vector<Row> rows) { return {"gemm", {"m", "time_us"}, 1, std::move(rows)}; }
constexpr const char* kDevice = "GPU \"X\" (132 SMs, 700 W)";

TEST(ResultsFile, ReadsBackAsItWas) {
    const Results written =
        results_of(heading(kDevice, "2026-11-22"), {table({{64.0, 1.5}, {128.0, 2.0}})}, "x.json");
    const auto file = std::filesystem::temp_directory_path() / "orrery_results_read_back.json";
    write_file(file, results_json(written));
    const Results read = read_results(file);
    EXPECT_EQ(read.heading_of("device"), kDevice);
    ASSERT_NE(read.find("gemm"), nullptr);
    EXPECT_EQ(read.find("gemm")->table.keys, 1u);
    EXPECT_EQ(read.find("gemm")->table.rows, written.find("gemm")->table.rows);
    EXPECT_THAT(read.find("gemm")->source, HasSubstr("2026-11-22"));
    EXPECT_EQ(ConfigNode::load(file).at("tables").at("gemm").at("origin").as_string(), "measured");
    std::filesystem::remove(file);
}

// 64 is measured again, 256 is new.
TEST(ResultsFile, LaterRowsReplaceEarlierOnesOfTheSameKey) {
    Results all = results_of(heading(kDevice, "monday"), {table({{64.0, 1.5}, {128.0, 2.0}})}, "a");
    merge(all, results_of(heading(kDevice, "tuesday"), {table({{256.0, 3.0}, {64.0, 1.4}})}, "a"));
    const MeasuredTable& merged = *all.find("gemm");
    EXPECT_EQ(merged.table.rows, (std::vector<Row>{{64.0, 1.4}, {128.0, 2.0}, {256.0, 3.0}}));
    EXPECT_THAT(merged.source, HasSubstr("monday"));
    EXPECT_THAT(merged.source, HasSubstr("2 rows: "));
    EXPECT_THAT(merged.source, HasSubstr("tuesday"));
}

// A power limit may change between runs of one GPU; the GPU may not.
TEST(ResultsFile, TwoDevicesDoNotMix) {
    Results all = results_of(heading(kDevice, "monday"), {table({{64.0, 1.5}})}, "a");
    EXPECT_NO_THROW(
        merge(all, results_of(heading("GPU \"X\" (132 SMs, 350 W)", "tuesday"), {}, "b")));
    try {
        merge(all, results_of(heading("GPU Y (132 SMs, 700 W)", "tuesday"), {}, "b"));
        FAIL();
    } catch (const InputError& e) {
        EXPECT_THAT(e.what(), HasSubstr("GPU Y"));
    }
}

}  // namespace
}  // namespace orrery::calibrate
