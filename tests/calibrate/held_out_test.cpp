#include "calibrate/held_out.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace orrery::calibrate {
namespace {

TEST(HeldOut, HundredShapesAClassAndTheSameAgain) {
    const HeldOutShapes a = held_out_shapes(2718281828), b = held_out_shapes(2718281828);
    EXPECT_EQ(a.gemms.size(), 300u);
    EXPECT_EQ(a.fewer_sms.size(), 102u);
    EXPECT_EQ(a.grouped.size(), 300u);
    EXPECT_EQ(a.forward.size(), 100u);
    EXPECT_EQ(a.backward.size(), 100u);
    EXPECT_EQ(a.decode.size(), 100u);
    EXPECT_EQ(a.memory.size(), 6u * 19u);
    EXPECT_EQ(a.copies.size(), 100u);
    EXPECT_TRUE(a.gemms == b.gemms && a.grouped == b.grouped && a.memory == b.memory);
    EXPECT_FALSE(a.gemms == held_out_shapes(1).gemms);
}

TEST(HeldOut, GemmsStayInTheDomain) {
    for (const GemmCase& c : held_out_shapes(7).gemms) {
        EXPECT_TRUE(c.gemm.m >= 16 && c.gemm.m <= 16384 && c.gemm.m % 16 == 0);
        EXPECT_TRUE(c.gemm.n >= 512 && c.gemm.n <= 131072 && c.gemm.n % 128 == 0);
        EXPECT_TRUE(c.gemm.k >= 256 && c.gemm.k <= 32768 && c.gemm.k % 128 == 0);
        EXPECT_LE(2e-12 * double(c.gemm.m) * double(c.gemm.n) * double(c.gemm.k), 6.0);
    }
}

// What the kernels ask for: see kernels/*.hpp.
TEST(HeldOut, ShapesFitTheKernels) {
    const HeldOutShapes shapes = held_out_shapes(7);
    for (const GroupedCase& c : shapes.grouped) {
        EXPECT_TRUE(c.n % 128 == 0 && c.k % 128 == 0 && c.groups >= 1);
        if (c.layout == GroupLayout::masked)
            EXPECT_LE(c.rows_per_group, 1024);
        else
            EXPECT_EQ(c.rows_per_group % 128, 0);
    }
    std::map<MemoryOpKind, int> kinds;
    for (const MemoryCase& c : shapes.memory) {
        ++kinds[c.kind];
        EXPECT_LE(memory_bytes(c), 4e9);
        if (c.kind == MemoryOpKind::rms_norm) EXPECT_EQ(c.columns % 256, 0);
        if (c.kind == MemoryOpKind::cast_transpose) EXPECT_EQ(c.rows % 128 + c.columns % 64, 0);
        if (c.kind == MemoryOpKind::cast_fp8) EXPECT_EQ(c.rows % 8 + c.columns % 128, 0);
    }
    EXPECT_EQ(kinds.size(), 19u);
    for (const Attention& a : shapes.decode)
        EXPECT_LE(2.0 * double(a.sequences * a.key_length * a.key_heads) * double(a.query_key_dim),
                  16e9);
}

// A log-uniform axis: half of the shapes below the geometric mean of its ends, within three
// standard deviations of a fair coin over 300 draws (26).
TEST(HeldOut, AxesAreLogUniform) {
    int small_k = 0;
    const auto cases = random_cases<3>(
        5, 0, 300, [](const Cube<3>& u, std::uint64_t) { return std::optional<Cube<3>>(u); });
    for (const Cube<3>& u : cases)
        small_k += gemm_at(Precision::bf16, 0, {0, 0, u[2]})->gemm.k < 2896;
    EXPECT_NEAR(small_k, 150, 26);
}

// Any eighth of an axis holds an eighth of an even design, give or take three of 64 points.
TEST(HeldOut, EvenCasesAreEven) {
    const auto cases = even_cases<3>(
        64, [](const Cube<3>& u, std::uint64_t) { return std::optional<Cube<3>>(u); });
    for (std::size_t axis = 0; axis < 3; ++axis) {
        int count[8] = {};
        for (const Cube<3>& u : cases) ++count[int(u[axis] * 8)];
        for (const int c : count) EXPECT_NEAR(c, 8, 3) << axis;
    }
}

// The shapes on fewer SMs are among those on all: their ratio is measured.
TEST(HeldOut, FewerSmsRepeatShapesOfTheScatter) {
    std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> all;
    for (const GemmCase& c : gemm_scatter(Precision::bf16))
        all.insert({c.gemm.m, c.gemm.n, c.gemm.k});
    for (const GemmCase& c : gemm_scatter_fewer_sms(Precision::bf16))
        EXPECT_TRUE(all.contains({c.gemm.m, c.gemm.n, c.gemm.k}) && c.sms < 132);
}

// No shape of the tables is one that is held out.
TEST(HeldOut, NothingIsMeasuredForBoth) {
    const HeldOutShapes shapes = held_out_shapes(2718281828);
    std::set<GemmCase> held(shapes.gemms.begin(), shapes.gemms.end());
    for (const Precision p : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block})
        for (const auto& cases : {gemm_grid(p), gemm_scatter(p)})
            for (const GemmCase& c : cases) EXPECT_FALSE(held.contains(c));
    const auto grouped = grouped_scatter();
    for (const GroupedCase& c : shapes.grouped)
        EXPECT_EQ(std::count(grouped.begin(), grouped.end(), c), 0);
}

}  // namespace
}  // namespace orrery::calibrate
