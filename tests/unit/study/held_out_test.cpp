// Prices beside measurements of shapes that no table holds.

#include "study/held_out.hpp"

#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";
const std::string kMeasured = kProfiles + "/held_out/h100_sxm5.json";

std::filesystem::path file_with(const std::string& name, const std::string& tables) {
    const auto path = std::filesystem::temp_directory_path() / name;
    std::ofstream(path) << R"({"device": "one", "date": "today", "tables": {)" << tables << "}}";
    return path;
}

// A measured point of the H100's table is priced as measured: 4096 x 7168 x 256 takes 32.0485 us.
// Stated here as 40 us, the price is 19.88 % below.
TEST(HeldOut, ErrorIsPricedOverMeasuredLessOne) {
    const auto path = file_with("orrery_held_out.json", R"("held_out_gemm": {
        "origin": "measured", "source": "by hand",
        "columns": ["precision", "accumulate", "m", "n", "k", "sm", "time_us"],
        "rows": [["bf16", 0, 4096, 7168, 256, 132, 40], ["bf16", 0, 4096, 7168, 256, 132, 32.0485]]})");
    const HeldOutCheck check = check_held_out("h100_sxm5", kProfiles, path);
    ASSERT_EQ(check.classes.size(), 1U);
    const HeldOutClass& c = check.classes[0];
    EXPECT_EQ(c.name, "gemm bf16");
    EXPECT_EQ(c.errors.points, 2U);
    EXPECT_NEAR(c.worst, 32.0485 / 40 - 1, 1e-9);
    EXPECT_NEAR(c.mean, (32.0485 / 40 - 1) / 2, 1e-9);
    EXPECT_NEAR(c.share, 0.5, 1e-12);
    EXPECT_EQ(c.worst_shape, "4096 x 7168 x 256");
}

TEST(HeldOut, AFileWithoutHeldOutTablesIsRefused) {
    EXPECT_THROW(check_held_out("h100_sxm5", kProfiles, file_with("orrery_empty.json", "")),
                 InputError);
}

// What stands in reports/held_out_h100_sxm5.md, held from getting worse. The aim is a median of
// 3 % and 95 % within 10 %; where it is missed the reason stands in calibrate/README.md.
TEST(HeldOut, TheH100sClassesStayWhereTheyAre) {
    const HeldOutCheck check = check_held_out("h100_sxm5", kProfiles, kMeasured);
    const std::set<std::string> wanted = {"gemm bf16",
                                          "gemm fp8_tensor",
                                          "gemm fp8_block",
                                          "gemm on 112 SMs",
                                          "grouped_gemm masked",
                                          "grouped_gemm contiguous",
                                          "grouped_gemm k_grouped",
                                          "attention forward",
                                          "attention backward",
                                          "attention decode",
                                          "memory",
                                          "copy"};
    std::set<std::string> found;
    for (const HeldOutClass& c : check.classes) {
        found.insert(c.name);
        EXPECT_GE(c.errors.points, 97U) << c.name;
        const bool attention = c.name.starts_with("attention");
        EXPECT_LE(c.errors.median, attention ? 0.01 : 0.037) << c.name;
        const double p95 = attention ? 0.07 : c.name == "gemm bf16" ? 0.192 : 0.143;
        EXPECT_LE(c.errors.p95, p95) << c.name;
    }
    for (const std::string& name : wanted) EXPECT_TRUE(found.contains(name)) << name;
}

// No price is read from a held-out shape.
TEST(HeldOut, NoTableOfTheProfileHoldsThem) {
    const AcceleratorProfile profile = load_accelerator("h100_sxm5", kProfiles);
    std::set<std::string> known;
    const auto key = [](const DataTable& t, std::size_t i) {
        std::string text =
            t.text(i, "precision", "") + (t.number(i, "accumulate", 0) != 0 ? "+" : "");
        for (const char* c : {"m", "n", "k", "sm"})
            text += " " + std::to_string(t.number(i, c, 132));
        return text;
    };
    for (const DataTable* table : profile.find_tables("gemm"))
        for (std::size_t i = 0; i < table->rows(); ++i) known.insert(key(*table, i));
    const ConfigNode tables = ConfigNode::load(kMeasured).at("tables");
    for (const char* name : {"held_out_gemm", "held_out_gemm_fewer_sms"}) {
        const DataTable held = read_data_table(tables.at(name), name);
        for (std::size_t i = 0; i < held.rows(); ++i)
            EXPECT_FALSE(known.contains(key(held, i))) << key(held, i);
    }
}

}  // namespace
}  // namespace orrery
