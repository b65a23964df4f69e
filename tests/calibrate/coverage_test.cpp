#include "calibrate/coverage.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/surface.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

std::filesystem::path with_text(const std::string& text) {
    const auto file = std::filesystem::temp_directory_path() / "orrery_missing.json";
    std::ofstream(file) << text;
    return file;
}

TEST(Missing, ReadsGemmsAndMemoryOperators) {
    const MissingShapes s = read_missing(with_text(R"({"missing": [
        {"kind": "gemm", "precision": "fp8_block", "m": 64, "n": 2112, "k": 7168, "sm": 112},
        {"kind": "gemm", "precision": "bf16", "m": 1, "n": 2, "k": 3, "accumulate": true},
        {"kind": "memory", "operator": "rms_norm", "rows": 4096, "columns": 7168}]})"));
    ASSERT_EQ(s.gemms.size(), 2u);
    EXPECT_TRUE(s.gemms[0] ==
                (GemmCase{{64, 2112, 7168, Precision::fp8_block, false}, 112, false}));
    EXPECT_TRUE(s.gemms[1] == (GemmCase{{1, 2, 3, Precision::bf16, true}, 0, false}));
    ASSERT_EQ(s.memory.size(), 1u);
    EXPECT_EQ(s.memory[0].kind, MemoryOpKind::rms_norm);
    EXPECT_EQ(s.memory[0].columns, 7168);
}

TEST(Missing, ReadsGroupedGemmsAndAttention) {
    const MissingShapes s = read_missing(with_text(R"({"missing": [
        {"kind": "grouped_gemm", "layout": "masked", "precision": "fp8_block", "groups": 4,
         "rows_per_group": 256, "n": 4096, "k": 7168, "sm": 112, "name": "experts_up"},
        {"kind": "grouped_gemm", "layout": "masked", "precision": "bf16", "groups": 4,
         "rows_per_group": 256, "n": 4096, "k": 7168},
        {"kind": "attention", "pass": "backward", "sequences": 1, "query_length": 4096,
         "key_length": 4096, "query_heads": 128, "key_heads": 128, "query_key_dim": 192,
         "value_dim": 128, "causal": true, "window": 0}]})"));
    ASSERT_EQ(s.grouped.size(), 1u);
    EXPECT_TRUE(s.grouped[0] == (GroupedCase{GroupLayout::masked, 4, 256, 4096, 7168, 112}));
    ASSERT_EQ(s.attention.size(), 1u);
    EXPECT_EQ(s.attention[0].pass, AttentionPass::backward);
    EXPECT_THAT(s.without_kernel, testing::ElementsAre("grouped_gemm in bf16"));
}

void expect_error(const std::string& text, const std::string& part) {
    try {
        read_missing(with_text(text));
        FAIL() << text;
    } catch (const InputError& e) {
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
}

TEST(Missing, ErrorsNameTheEntry) {
    expect_error(R"({"missing": [{"kind": "sorting"}]})", "missing[0].kind");
    expect_error(R"({"missing": [{"kind": "gemm", "precision": "fp4", "m": 1, "n": 1, "k": 1}]})",
                 "must be bf16");
    expect_error(R"({"missing": [{"kind": "gemm", "precision": "bf16", "m": 0, "n": 1, "k": 1}]})",
                 "m = 0");
    expect_error(R"({"missing": [], "extra": 1})", "extra");
}

// Two loads; the first holds 1.1, 1.3 and 1.2, the second 1.0.
TEST(Medians, GroupsByTheNamedColumns) {
    Table t{"sustained", {"load", "m", "ratio"}, 2, {}};
    t.rows = {{std::string("mix"), 1.0, 1.1},
              {std::string("alone"), 1.0, 1.0},
              {std::string("mix"), 2.0, 1.3},
              {std::string("mix"), 3.0, 1.2}};
    const Table m = medians(t, "summary", {"load"}, "ratio");
    ASSERT_EQ(m.rows.size(), 2u);
    EXPECT_EQ(key_of(m.rows[0], 5), "mix|1.2|1.1|1.3|3");
    EXPECT_EQ(key_of(m.rows[1], 5), "alone|1|1|1|1");
    EXPECT_THROW(medians(t, "summary", {"nothing"}, "ratio"), InputError);
}

}  // namespace
}  // namespace orrery::calibrate
