#include "calibrate/table.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "calibrate/journal.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

Table small_table() { return {"gemm", {"precision", "m", "time_us"}, 2, {}}; }
Row small_row(double m, double time) { return {std::string("bf16"), m, time}; }

// A file of its own that goes with the test.
class Results : public testing::Test {
  protected:
    void SetUp() override {
        file_ = std::filesystem::temp_directory_path() /
                ("orrery_results_" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
        TearDown();
    }
    void TearDown() override {
        std::filesystem::remove(file_);
        std::filesystem::remove(journal());
    }
    std::filesystem::path journal() const { return file_.string() + ".journal"; }
    std::filesystem::path file_;
};

TEST(Cells, NumbersAreShortAndExactEnough) {
    EXPECT_EQ(cell_text(4096.0), "4096");
    EXPECT_EQ(cell_text(12.3456789), "12.3457");
    EXPECT_EQ(cell_text(std::nan("")), "null");
    EXPECT_EQ(json_text("a \"b\"\n\\"), "\"a \\\"b\\\"\\u000a\\\\\"");
    EXPECT_EQ(key_of(small_row(64, 1.5), 2), "bf16|64");
}

TEST_F(Results, AnInterruptedRunResumesWhereItStopped) {
    {
        Journal first(file_, "GPU");
        first.add(small_table(), small_row(64, 1.5));
        first.add(small_table(), small_row(128, 2));
    }
    std::ofstream(journal(), std::ios::app) << "{\"table\": \"ge";  // cut short
    Journal second(file_, "GPU");
    EXPECT_EQ(second.rows_read(), 2u);
    EXPECT_TRUE(second.has("gemm", {std::string("bf16"), 64.0}));
    EXPECT_FALSE(second.has("gemm", {std::string("bf16"), 256.0}));
    EXPECT_FALSE(second.has("memory", {std::string("bf16"), 64.0}));
    ASSERT_EQ(second.tables().size(), 1u);
    EXPECT_EQ(second.tables()[0].rows.size(), 2u);
    second.finish();
    EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(Results, AnotherDevicesJournalIsRefused) {
    { Journal first(file_, "GPU A"); }
    try {
        Journal second(file_, "GPU B");
        FAIL();
    } catch (const InputError& e) {
        EXPECT_NE(std::string(e.what()).find("device = GPU A"), std::string::npos) << e.what();
    }
}

TEST_F(Results, AFolderThatDoesNotExistIsOneLine) {
    EXPECT_THROW(write_file("/nonexistent/folder/x.json", "{}"), InputError);
    EXPECT_THROW(Journal("/nonexistent/folder/x.json", "GPU"), InputError);
}

}  // namespace
}  // namespace orrery::calibrate
