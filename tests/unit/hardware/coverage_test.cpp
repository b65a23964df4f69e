#include "hardware/coverage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

Operator gemm(std::int64_t m, std::int64_t n, std::int64_t k, bool accumulate = false) {
    return {"proj", Gemm{m, n, k, Precision::fp8_block, accumulate}};
}

// The grid has 4096 x 4096 x 7168 and ends at m 16,384, n 131,072, k 32,768; rows on 112 SMs.
TEST(Coverage, NearIsWithinOneAndAHalfOctaves) {
    const TableCoverage h100(load_accelerator("h100_sxm5", kProfiles));
    EXPECT_TRUE(h100.near(gemm(4096, 4096, 7168), 132));
    EXPECT_TRUE(h100.near(gemm(4000, 4100, 7000), 132));
    EXPECT_TRUE(h100.near(gemm(4096, 4096, 7168), 110));
    EXPECT_FALSE(h100.near(gemm(4096, 4096, 7168), 30));
    EXPECT_FALSE(h100.near(gemm(1 << 20, 4096, 7168), 132));
    EXPECT_TRUE(h100.near({"norm", MemoryOp{MemoryOpKind::rms_norm, 4096, 7168, {}, {}, 1}}, 132));
    EXPECT_FALSE(h100.near({"zero", MemoryOp{MemoryOpKind::zero, 1ll << 40, 1, {}, {}, 1}}, 132));
}

TEST(Coverage, AProfileWithoutTablesIsNearNothing) {
    const TableCoverage b200(load_accelerator("b200", kProfiles));
    EXPECT_FALSE(b200.near(gemm(4096, 4096, 7168), 148));
}

TEST(Coverage, EntriesAreWhatCalibrationReads) {
    EXPECT_EQ(missing_shape(gemm(1, 2, 3, true), 112, 132),
              "{\"kind\": \"gemm\", \"precision\": \"fp8_block\", \"accumulate\": true, \"m\": 1, "
              "\"n\": 2, \"k\": 3, \"sm\": 112, \"name\": \"proj\"}");
    const Operator helper{"dO.O", MemoryOp{MemoryOpKind::attention_preprocess, 1, 1, {}, {}, 1}};
    EXPECT_EQ(missing_shape(helper, 132, 132), std::nullopt);
}

}  // namespace
}  // namespace orrery
