// Embedding, head, MTP projection and optimizer of DeepSeek-V3: operators and bytes by hand.

#include <gtest/gtest.h>

#include "models.hpp"
#include "phases.hpp"

namespace orrery {
namespace {

constexpr double T = 4096, H = 7168, V = 129280;

void expect_bytes(const MemoryOp& op, double read, double written) {
    EXPECT_DOUBLE_EQ(op.read.value(), read);
    EXPECT_DOUBLE_EQ(op.written.value(), written);
}

// Gather: an 8-byte id and a BF16 row in, a row out. Scatter-add: id, BF16 gradient and FP32 row
// in, FP32 row out. No weight pass.
TEST(LoweringEnds, Embedding) {
    const ModelSpec model = test::deepseek_v3();
    const ParallelPlan plan = test::deepseek_v3_plan();
    expect_bytes(test::memory(lower_embedding(model, plan, Pass::forward, {}), "embedding"),
                 8 * T + 2 * T * H, 2 * T * H);
    expect_bytes(
        test::memory(lower_embedding(model, plan, Pass::backward_input, {}), "embedding.backward"),
        8 * T + 6 * T * H, 4 * T * H);
    EXPECT_TRUE(lower_embedding(model, plan, Pass::backward_weight, {}).empty());
}

// BF16 logits of 4096 x 129,280 are read twice and overwritten by their gradient once.
TEST(LoweringEnds, HeadIsBf16AndFusesItsLoss) {
    const ModelSpec model = test::deepseek_v3();
    const ParallelPlan plan = test::deepseek_v3_plan();
    const auto forward = lower_head(model, plan, Pass::forward, {});
    EXPECT_EQ(test::signature(forward.front()), "NGx");
    expect_bytes(test::memory(forward, "cross_entropy"), 4 * T * V, 2 * T * V);
    const auto backward = lower_head(model, plan, Pass::backward_input, {});
    EXPECT_EQ(test::signature(backward.front()), "GNnnA");
    EXPECT_EQ(std::get<Gemm>(test::find(backward, "output_head.dgrad")->shape),
              (Gemm{.m = 4096, .n = 7168, .k = 129280}));
    const auto weights = lower_head(model, plan, Pass::backward_weight, {});
    EXPECT_EQ(std::get<Gemm>(test::find(weights, "output_head.wgrad")->shape),
              (Gemm{.m = 129280, .n = 7168, .k = 4096, .accumulate = true}));
}

TEST(LoweringEnds, MtpProjection) {
    const ModelSpec model = test::deepseek_v3();
    const ParallelPlan plan = test::deepseek_v3_plan();
    const auto forward = lower_mtp_projection(model, plan, Pass::forward, {});
    EXPECT_EQ(test::signature(forward.front()), "bNNcCTG");
    EXPECT_EQ(std::get<Gemm>(test::find(forward, "eh_proj")->shape),
              (Gemm{.m = 4096, .n = 7168, .k = 14336, .precision = Precision::fp8_block}));
    EXPECT_EQ(test::signature(lower_mtp_projection(model, plan, Pass::backward_input, {}).front()),
              "CTTGNNcXXnnAnnAb");
}

// Rank 1 of DualPipe: stages 1 and 14, eight MoE layers. A layer: attention 187,107,328, norms
// 14,336, shared expert 44,040,192, router 1,835,264: D = 8 x 232,997,120 = 1,863,976,960 over
// 128 x 2 ranks; experts E = 8 x 4 x 44,040,192 = 1,409,286,144 over 128 / 64 x 2 = 4. The shard:
// 7,281,160 + 352,321,536. Linear layers: 8 x (187,105,280 + 5 x 44,040,192) = 3,258,449,920.
TEST(LoweringEnds, OptimizerOfDeepSeekRank) {
    const ModelSpec model = test::deepseek_v3();
    const StageLayout low{.layers = {4, 5, 6, 7}}, high{.layers = {56, 57, 58, 59}};
    const auto phases = lower_optimizer(model, test::deepseek_v3_plan(), {low, high}, 2).phases;
    const auto collective = [&](const char* name) {
        return std::get<Communication>(test::find(phases, name)->shape);
    };
    const double D = 1863976960, E = 1409286144, shard = 7281160 + 352321536;
    EXPECT_EQ(collective("gradient_reduce"),
              (Communication{.kind = CommunicationKind::reduce_scatter,
                             .group = Group::data,
                             .ranks = 256,
                             .bytes = Bytes(4 * D)}));
    EXPECT_EQ(collective("expert_gradient_reduce"),
              (Communication{.kind = CommunicationKind::reduce_scatter,
                             .group = Group::data_expert,
                             .ranks = 4,
                             .bytes = Bytes(4 * E)}));
    EXPECT_EQ(collective("parameter_all_gather").bytes, Bytes(2 * D));
    EXPECT_EQ(collective("expert_parameter_all_gather").bytes, Bytes(2 * E));
    EXPECT_EQ(collective("gradient_norm_all_reduce").ranks, 2048);
    // FP32 gradient and master, two BF16 moments in; master, moments, BF16 parameter out.
    expect_bytes(test::memory(phases, "adamw"), 12 * shard, 10 * shard);
    expect_bytes(test::memory(phases, "gradient_norm"), 4 * shard, 0);
    expect_bytes(test::memory(phases, "weight_cast"), 2 * 3258449920.0, 3258449920.0);
    expect_bytes(test::memory(phases, "gradient_zero"), 0, 4 * (D + E));
}

// One rank alone: nothing to reduce but the norm of none; every parameter is its own, moments FP32.
TEST(LoweringEnds, OptimizerAlone) {
    ModelSpec model = test::llama3_8b();
    const auto phases = lower_optimizer(model, {}, {{.layers = {0}}}, 1).phases;
    ASSERT_EQ(phases.size(), 1u);
    EXPECT_EQ(test::signature(phases.front()), "daz");
    const double layer = 218103808 + 2 * 4096;
    expect_bytes(test::memory(phases, "adamw"), 16 * layer, 14 * layer);
}

}  // namespace
}  // namespace orrery
