// Grouped GEMMs, attention, memory operators and conditions, by hand from the published figures.

#include "hardware/operator_time.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"

namespace orrery {
namespace {

const std::string kProfiles = std::string(ORRERY_SOURCE_DIR) + "/hw_profiles";

// The shipped H800 with the published tables and the GEMM tables only, so that values can be
// worked out by hand whatever is measured next.
AcceleratorProfile published_only() {
    AcceleratorProfile profile = load_accelerator("h800_sxm5", kProfiles);
    std::erase_if(profile.tables, [](const DataTable& t) {
        const bool grid = t.name == "gemm" || t.name == "gemm_model";
        return !grid && t.file.find("published") == std::string::npos;
    });
    return profile;
}

class PublishedTimes : public ::testing::Test {
  protected:
    OperatorTimeModel model{published_only()};
    double us(const decltype(Operator::shape)& shape, Conditions conditions = {}) const {
        return model.time({"op", shape}, conditions).time.value() * 1e6;
    }
};

// DeepGEMM, contiguous, 4 groups of 8192 rows: 1346 TFLOP/s, so 2*32768*4096*7168 / 1346e12.
TEST_F(PublishedTimes, GroupedGemmsHitDeepGemmsRows) {
    const GroupedGemm g{4, 32768, 4096, 7168, Precision::fp8_block, GroupLayout::contiguous};
    EXPECT_NEAR(us(g), 2.0 * 32768 * 4096 * 7168 / 1346e6, 0.01);
    EXPECT_EQ(model.time({"op", g}, {}).origin, Origin::published);
    const GroupedGemm masked{4, 1024, 7168, 2048, Precision::fp8_block, GroupLayout::masked};
    EXPECT_NEAR(us(masked), 2.0 * 1024 * 7168 * 2048 / 815e6, 0.01);
}

// No table has k-grouped weight gradients or BF16 groups: derived from the dense GEMM, slower than
// the peak and within twice of the contiguous kernel's time at equal work.
TEST_F(PublishedTimes, GroupedGemmsWithoutATableAreDerived) {
    const GroupedGemm w{4, 32768, 4096, 7168, Precision::fp8_block, GroupLayout::k_grouped};
    const GroupedGemm f{4, 32768, 4096, 7168, Precision::fp8_block, GroupLayout::contiguous};
    EXPECT_EQ(model.time({"op", w}, {}).origin, Origin::derived);
    EXPECT_GT(us(w), 2.0 * 32768 * 4096 * 7168 / 1979e6);
    EXPECT_LT(us(w), 2 * us(f));
    EXPECT_GT(us(f, {112}), us(f) * 1.02);
}

// FlashAttention-3, causal, batch 4, 48 heads of 128, 4096 tokens: 1236.90 us forward and 4643.46
// us backward. DeepSeek's head dims 192 / 128 at one sequence and 128 heads take the same rates:
// forward (192+128)/256 of the work a head and row of 128/192 of the heads-times-sequences:
// 1236.90 * 1.25 * 128/192; backward (3*192 + 2*128)/(5*128) = 1.3 of it. Tiles, start and traffic
// do not scale so: within 5 %.
TEST_F(PublishedTimes, AttentionFollowsFlashAttention3) {
    Attention a{AttentionPass::forward, 4, 4096, 4096, 48, 48, 128, 128, true};
    EXPECT_NEAR(us(a), 1236.90, 0.01);
    a.pass = AttentionPass::backward;
    EXPECT_NEAR(us(a), 4643.46, 0.01);
    Attention mla{AttentionPass::forward, 1, 4096, 4096, 128, 128, 192, 128, true};
    EXPECT_NEAR(us(mla) / (1236.90 * 1.25 * 128 / 192), 1, 0.05);
    EXPECT_EQ(model.time({"op", mla}, {}).origin, Origin::derived);
    mla.pass = AttentionPass::backward;
    EXPECT_NEAR(us(mla) / (4643.46 * 1.3 * 128 / 192), 1, 0.05);
}

// Time a row is nearly linear in the length: at 3072 tokens half-way between 368.35/2048 and
// 1236.90/4096, within 3 %.
TEST_F(PublishedTimes, AttentionBetweenLengths) {
    const Attention a{AttentionPass::forward, 4, 3072, 3072, 48, 48, 128, 128, true};
    EXPECT_NEAR(us(a) / (3072 * (368.35 / 2048 + 1236.90 / 4096) / 2), 1, 0.03);
}

// FlashMLA: 128 heads on one latent of 576, 128 sequences of 4096 keys. 2*128*128*4096*(576+512)
// FLOP at 660 TFLOP/s take 221.3 us; the 604 MB of latents at 3 TB/s 201 us: compute decides. With
// 16 heads memory does.
TEST_F(PublishedTimes, DecodeIsTheSlowerOfComputeAndMemory) {
    Attention a{AttentionPass::decode, 128, 1, 4096, 128, 1, 576, 512, true};
    EXPECT_NEAR(us(a), 2.0 * 128 * 128 * 4096 * 1088 / 660e6, 0.01);
    a.query_heads = 16;
    EXPECT_NEAR(us(a), bytes(Operator{"", a}).value() / 3000e3, 0.01);
}

// 2 x 4096 x 7168 x 2 bytes over the copy bandwidth, and the floor of a kernel.
TEST_F(PublishedTimes, MemoryOperatorsAreBytesOverTheCopyBandwidth) {
    MemoryOp op{MemoryOpKind::rms_norm, 4096, 7168, Bytes(58720256), Bytes(58720256)};
    const double floor = model.profile().kernel_floor.value.value() * 1e6;
    const double copy = model.profile().copy_bandwidth.value.value() / 1e6;  // bytes a us
    EXPECT_NEAR(us(op), 2 * 58720256 / copy + floor, 1e-6);
    op.launches = 3;
    EXPECT_NEAR(us(op), 2 * 58720256 / copy + 3 * floor, 1e-6);
    const auto half = static_cast<std::int64_t>(model.profile().saturating_sms.value.value() / 2);
    op.launches = 1;
    EXPECT_NEAR(us(op, {half}) - floor, 2 * (us(op) - floor), 1e-6);
}

TEST_F(PublishedTimes, WithoutAContentionTableNothingIsAssumedSlower) {
    const auto slowdown = model.slowdown(OperatorClass::gemm, {20, BytesPerSecond(100e9)});
    EXPECT_EQ(slowdown.value, Ratio(1));
    EXPECT_EQ(slowdown.from.origin, Origin::assumed);
    // No SM held: nothing to assume.
    EXPECT_EQ(model.slowdown(OperatorClass::gemm, {}).from.origin, Origin::derived);
}

TEST_F(PublishedTimes, RefusesWhatItCannotPrice) {
    EXPECT_THROW(us(Communication{}), SimulationError);
    EXPECT_THROW(us(Gemm{1, 1, 1}, {133}), InputError);
    AcceleratorProfile bare = load_accelerator("h800_sxm5", kProfiles);
    bare.tables.clear();
    const OperatorTimeModel nothing(bare);
    const Operator gemm{"q_b_proj", Gemm{4096, 24576, 1536, Precision::bf16}};
    EXPECT_THROW(nothing.time(gemm, {}), InputError);
    // Half of the peak: 2*4096*24576*1536 / 494.5e12 s, and the floor of a kernel.
    bare.compute_efficiency = {Ratio(0.5), {Origin::assumed, "test"}};
    const Estimate estimate = OperatorTimeModel(bare).time(gemm, {});
    EXPECT_NEAR(estimate.time.value(),
                2.0 * 4096 * 24576 * 1536 / 494.5e12 + bare.kernel_floor.value.value(), 1e-9);
    EXPECT_EQ(estimate.origin, Origin::assumed);
}

// Half of the traffic of the measured point, half of its extra time; held beyond; 1 without
// traffic.
TEST(Contention, IsLinearInTheTraffic) {
    AcceleratorProfile profile = load_accelerator("h800_sxm5", kProfiles);
    std::erase_if(profile.tables, [](const DataTable& t) { return t.name == "contention"; });
    DataTable table;
    table.name = "contention";
    table.from = {Origin::measured, "test"};
    table.columns = {"class", "communication_sms", "communication_GBps", "slowdown"};
    table.numbers = {{0, 20, 200, 1.2}, {0, 20, 400, 1.6}, {0, 24, 200, 2}};
    table.texts = {{"gemm", "", "", ""}, {"gemm", "", "", ""}, {"gemm", "", "", ""}};
    profile.tables.push_back(table);
    const OperatorTimeModel model(profile);
    const auto at = [&](double gbps, std::int64_t sms = 20) {
        return model.slowdown(OperatorClass::gemm, {sms, BytesPerSecond(gbps * 1e9)}).value.value();
    };
    EXPECT_NEAR(at(100), 1.1, 1e-12);
    EXPECT_NEAR(at(300), 1.4, 1e-12);
    EXPECT_NEAR(at(900), 1.6, 1e-12);
    EXPECT_NEAR(at(0), 1, 1e-12);
    EXPECT_NEAR(at(200, 26), 2, 1e-12);
    EXPECT_EQ(model.slowdown(OperatorClass::gemm, {20, BytesPerSecond(1)}).from.origin,
              Origin::measured);
}

// One row meets 7168 x 7168 weights: 103 MB in BF16, half of that and 14 kB of scales in INT8,
// a quarter and 0.8 MB in INT4. What exceeds the shortest kernel goes with the bytes. At 8192 rows
// the arithmetic, which stays BF16, decides alone.
TEST(WeightOnly, FewRowsGoByTheBytesOfWeights) {
    const OperatorTimeModel model(load_accelerator("h100_sxm5", kProfiles));
    const double floor = model.profile().kernel_floor.value.value();
    const auto seconds = [&](std::int64_t m, Precision p) {
        return model.time({"op", Gemm{m, 7168, 7168, p}}, {}).time.value();
    };
    const double few = seconds(1, Precision::bf16) - floor;
    EXPECT_NEAR((seconds(1, Precision::int8_weight) - floor) / few, 0.5, 0.002);
    EXPECT_NEAR((seconds(1, Precision::int4_weight) - floor) / few, 0.2578, 0.002);
    EXPECT_DOUBLE_EQ(seconds(8192, Precision::int4_weight), seconds(8192, Precision::bf16));
    EXPECT_EQ(model.time({"op", Gemm{1, 7168, 7168, Precision::int8_weight}}, {}).origin,
              Origin::derived);
}

}  // namespace
}  // namespace orrery
