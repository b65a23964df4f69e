// FLOPs of lowered passes against the closed-form counts, and how plans divide them.

#include <gtest/gtest.h>

#include "model/accounting.hpp"
#include "models.hpp"
#include "phases.hpp"

namespace orrery {
namespace {

using test::attention_flops;
using test::total_flops;

constexpr Pass passes[] = {Pass::forward, Pass::backward_input, Pass::backward_weight};

double layers_and_head(const ModelSpec& model, const ParallelPlan& plan, Pass pass,
                       const BatchShape& batch = {}) {
    double sum = total_flops(lower_head(model, plan, pass, batch));
    for (const LayerSpec& layer : model.layers) {
        sum += total_flops(lower_layer(model, layer, plan, pass, batch));
    }
    return sum;
}

// DeepSeek-V3 forward: 2 x 36,624,596,992 GEMM weights + 61 layers x 128 heads x 4096 x 320
// (S^2/2 pairs, 2 FLOP, over S tokens) = 83.483295744 GFLOP per token.
TEST(LoweringFlops, ForwardIsTheClosedForm) {
    const ModelSpec model = test::deepseek_v3();
    const double per_token = 2 * 36624596992.0 + 61.0 * 128 * 4096 * 320;
    EXPECT_DOUBLE_EQ(per_token, 83483295744.0);
    const double forward = layers_and_head(model, test::deepseek_v3_plan(), Pass::forward);
    EXPECT_DOUBLE_EQ(forward, 4096 * per_token);
    EXPECT_DOUBLE_EQ(flops_per_token(model, 4096).forward, per_token);
}

// A Llama layer: 4096 (4096 + 2*1024) + 4096^2 + 3*4096*14336 = 218,103,808 weights, attention
// 32*4096*256 a token; 32 of them and a head of 128256*4096.
TEST(LoweringFlops, DenseModelWithGroupedQueries) {
    const ModelSpec model = test::llama3_8b();
    const double per_token = 2 * (32 * 218103808.0 + 525336576.0) + 32.0 * 32 * 4096 * 256;
    EXPECT_DOUBLE_EQ(layers_and_head(model, {}, Pass::forward), 4096 * per_token);
    EXPECT_DOUBLE_EQ(flops_per_token(model, 4096).forward, per_token);
}

TEST(LoweringFlops, MixtralIsTheClosedForm) {
    const ModelSpec model = test::mixtral_8x7b();
    ParallelPlan plan;
    plan.dp = plan.ep = 8;
    EXPECT_DOUBLE_EQ(layers_and_head(model, plan, Pass::forward),
                     4096 * flops_per_token(model, 4096).forward);
}

// B + W of every GEMM = 2 F; attention's backward is (3*192 + 2*128) / (192 + 128) = 2.6 F.
TEST(LoweringFlops, BackwardIsTwiceForwardWithoutRecompute) {
    const ModelSpec model = test::deepseek_v3();
    ParallelPlan plan = test::deepseek_v3_plan();
    plan.recompute = {};
    for (const std::size_t layer : {0u, 10u}) {
        double gemm[3] = {}, attention[3] = {};
        for (int i = 0; i < 3; ++i) {
            const auto phases = lower_layer(model, model.layers[layer], plan, passes[i], {});
            attention[i] = attention_flops(phases);
            gemm[i] = total_flops(phases) - attention[i];
        }
        EXPECT_DOUBLE_EQ(gemm[1] + gemm[2], 2 * gemm[0]);
        EXPECT_DOUBLE_EQ(attention[1] + attention[2], 2.6 * attention[0]);
    }
}

// Recomputing the MLA up-projections adds q_b and kv_b, 2*4096*(24576*1536 + 32768*512).
TEST(LoweringFlops, RecomputeAddsItsGemms) {
    const ModelSpec model = test::deepseek_v3();
    ParallelPlan plan = test::deepseek_v3_plan();
    const auto backward = [&] {
        return total_flops(lower_layer(model, model.layers[10], plan, Pass::backward_input, {}));
    };
    const double with = backward();
    plan.recompute.mla_up_projection = false;
    EXPECT_DOUBLE_EQ(with - backward(), 2 * 4096 * (24576.0 * 1536 + 32768.0 * 512));
    const double without = backward();
    plan.recompute.full = true;
    EXPECT_DOUBLE_EQ(backward() - without,
                     total_flops(lower_layer(model, model.layers[10], plan, Pass::forward, {})));
}

// The module's projection is 2 * 7168^2 weights; B and W are one GEMM of that size each.
TEST(LoweringFlops, MtpProjection) {
    const ModelSpec model = test::deepseek_v3();
    for (const Pass pass : passes) {
        EXPECT_DOUBLE_EQ(
            total_flops(lower_mtp_projection(model, test::deepseek_v3_plan(), pass, {})),
            2 * 4096 * 2.0 * 7168 * 7168);
    }
}

// Four tensor ranks, or four context ranks, share the work of one evenly. (16,384 tokens: each of
// DeepSeek's 256 experts then gets whole tiles of 128 rows even from a quarter of them.)
TEST(LoweringFlops, TensorAndContextParallelismDivide) {
    const ModelSpec models[] = {test::deepseek_v3(), test::llama3_8b(), test::mixtral_8x7b()};
    for (const ModelSpec& model : models) {
        for (const Pass pass : passes) {
            ParallelPlan one, tensor, context;
            const BatchShape batch{.sequence_length = 16384};
            tensor.tp = 4;
            context.cp = 4;
            const double whole = layers_and_head(model, one, pass, batch);
            EXPECT_DOUBLE_EQ(4 * layers_and_head(model, tensor, pass, batch), whole) << model.name;
            EXPECT_DOUBLE_EQ(4 * layers_and_head(model, context, pass, batch), whole) << model.name;
        }
    }
}

// Expert parallelism moves rows between ranks but not their number.
TEST(LoweringFlops, ExpertParallelismKeepsRows) {
    const ModelSpec model = test::deepseek_v3();
    ParallelPlan plan = test::deepseek_v3_plan();
    for (const std::int64_t ep : {1, 8, 32, 64}) {
        plan.ep = ep;
        const auto phases = lower_layer(model, model.layers[10], plan, Pass::forward, {});
        const auto& gemm = std::get<GroupedGemm>(test::find(phases, "experts_down_proj")->shape);
        EXPECT_EQ(gemm.groups, 256 / ep);
        EXPECT_EQ(gemm.rows, 32768);
        EXPECT_EQ(test::find(phases, "dispatch") != nullptr, ep > 1);
    }
}

}  // namespace
}  // namespace orrery
