#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/profile_diff.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

const NumberDiff& number(const ProfileDiff& diff, const std::string& name) {
    for (const NumberDiff& n : diff.numbers)
        if (n.name == name) return n;
    throw std::runtime_error(name);
}

// The H800 takes the H100's tables: every shape matches, every ratio is 1.
TEST(ProfileDiff, AnHeirHasItsParentsTimes) {
    const ProfileDiff diff = diff_profiles("h100_sxm5", "h800_sxm5", kProfiles);
    EXPECT_EQ(number(diff, "copy_bandwidth").ratio, 1);
    EXPECT_EQ(number(diff, "copy_bandwidth").b.from.origin, Origin::derived);
    ASSERT_FALSE(diff.families.empty());
    for (const FamilyDiff& f : diff.families) {
        if (f.family == "grouped_gemm" || f.family == "attention_decode") continue;  // has its own
        EXPECT_EQ(f.only_a + f.only_b, 0u) << f.family;
        EXPECT_EQ(f.least, 1) << f.family;
        EXPECT_EQ(f.most, 1) << f.family;
    }
}

// 312 of 989 TFLOP/s; the A100 has no table and an efficiency that the H100 does without.
TEST(ProfileDiff, WhatOneLacksIsSaid) {
    const ProfileDiff diff = diff_profiles("h100_sxm5", "a100_sxm4", kProfiles);
    EXPECT_NEAR(number(diff, "peak_bf16").ratio, 312.0 / 989, 1e-12);
    EXPECT_EQ(number(diff, "compute_efficiency").a.value, "");
    EXPECT_EQ(number(diff, "compute_efficiency").ratio, 0);
    for (const FamilyDiff& f : diff.families) {
        EXPECT_EQ(f.matched, 0u) << f.family;
        EXPECT_GT(f.only_a, 0u) << f.family;
    }
    EXPECT_THROW(diff_profiles("h100_sxm5", "nothing", kProfiles), InputError);
}

}  // namespace
}  // namespace orrery
