// One MoE layer of DeepSeek-V3 against the order of kernels in DeepSeek's own training trace
// (github.com/deepseek-ai/profile-data @4496024, train.json: 4,096 tokens, EP64). Letters: N n
// RMSNorm and its backward, C cast to FP8, T transposes of scales or weights, X cast and transpose,
// K cast back, S s SwiGLU and its backward, R RoPE, A elementwise, c copy, z zero, r router, P
// permute, U unpermute, p q helpers of attention's backward, G GEMM, E grouped GEMM, F attention,
// @ communication; a number counts launches.

#include <gtest/gtest.h>

#include "models.hpp"
#include "phases.hpp"

namespace orrery {
namespace {

using test::phase_of;
using test::signature;
using test::without_spaces;

const BatchShape batch;  // one sequence of 4,096 tokens

std::vector<Phase> moe_layer(Pass pass) {
    const ModelSpec model = test::deepseek_v3();
    return lower_layer(model, model.layers[10], test::deepseek_v3_plan(), pass, batch);
}

TEST(LoweringStructure, PhasesInOrder) {
    using enum PhaseKind;
    EXPECT_EQ(test::kinds(moe_layer(Pass::forward)),
              (std::vector{attention, dispatch, mlp, combine}));
    EXPECT_EQ(test::kinds(moe_layer(Pass::backward_input)),
              (std::vector{combine, mlp, dispatch, attention}));
    EXPECT_EQ(test::kinds(moe_layer(Pass::backward_weight)), (std::vector{mlp, attention}));
}

// Norm; q_a and kv_a, each with its own cast of the same input; latent norms and copies; q_b, kv_b;
// RoPE and keys put together; attention; E5M6 copy, o; scale, norm with residual; router; cast for
// dispatch.
TEST(LoweringStructure, AttentionForward) {
    EXPECT_EQ(signature(phase_of(moe_layer(Pass::forward), PhaseKind::attention)),
              without_spaces("N CTG CTG c2 NcNc CTG CTG RccR F C CTG AN G r4 r11 r21 C"));
}

// Shared gate_up; mapping and expansion; routed gate_up; weights, SwiGLU with cast; routed down;
// reduction; shared down; two casts of SwiGLU's inputs for the backward pass.
TEST(LoweringStructure, MlpForward) {
    EXPECT_EQ(signature(phase_of(moe_layer(Pass::forward), PhaseKind::mlp)),
              without_spaces("TG P2 P T T E r S T T E U S T G C C"));
}

TEST(LoweringStructure, MlpBackward) {
    EXPECT_EQ(signature(phase_of(moe_layer(Pass::backward_input), PhaseKind::mlp)),
              without_spaces("K T T G X S s  K P T E s s X r  N C  C T E U X  K T C T G X X"));
}

// Router; norm with residual; E5M6 back, o; norms, q_b, kv_b and RoPE again; attention with its
// helpers; q_b, kv_b; transposed casts; latent norms; their gradient joined; norm again, kv_a, q_a;
// their sum; norm with residual.
TEST(LoweringStructure, AttentionBackward) {
    EXPECT_EQ(signature(phase_of(moe_layer(Pass::backward_input), PhaseKind::attention)),
              without_spaces("r26 GG A nnA A K C T T G XX  N c N CTG CTG RccR  p F q  R T C T G "
                             "A R c c T C T G XXXX  nnA nnA  z c z c A  N CTTGXX CTTGXX A nnA"));
}

// The trace's eight kernels of routed weight gradients, an expert each, are two grouped ones here.
TEST(LoweringStructure, WeightGradients) {
    const auto phases = moe_layer(Pass::backward_weight);
    EXPECT_EQ(signature(phases[0]), "GXEXEG");
    EXPECT_EQ(signature(phases[1]), "GGGGG");
}

// Kernels the trace counts a layer: 69 less the noise on router scores in attn(F), 19 in mlp(F), 29
// in mlp(B), 101 in attn(B).
TEST(LoweringStructure, LaunchesAsTraced) {
    const auto forward = moe_layer(Pass::forward), backward = moe_layer(Pass::backward_input);
    EXPECT_EQ(test::launches(phase_of(forward, PhaseKind::attention)), 68);
    EXPECT_EQ(test::launches(phase_of(forward, PhaseKind::mlp)), 19);
    EXPECT_EQ(test::launches(phase_of(backward, PhaseKind::mlp)), 29);
    EXPECT_EQ(test::launches(phase_of(backward, PhaseKind::attention)), 101);
}

struct Shape {
    const char* name;
    std::int64_t m, n, k;
};

void expect_gemms(const std::vector<Phase>& phases, const std::vector<Shape>& shapes) {
    for (const Shape& s : shapes) {
        const Operator* op = test::find(phases, s.name);
        ASSERT_NE(op, nullptr) << s.name;
        const Gemm& g = std::get<Gemm>(op->shape);
        EXPECT_EQ(g.m, s.m) << s.name;
        EXPECT_EQ(g.n, s.n) << s.name;
        EXPECT_EQ(g.k, s.k) << s.name;
    }
}

// Dimensions of DeepSeek-V3: hidden 7168, 128 heads of 128 + 64 and 128, latents 1536 and 512 + 64,
// experts of 2048.
TEST(LoweringStructure, GemmShapes) {
    expect_gemms(moe_layer(Pass::forward), {{"q_a_proj", 4096, 1536, 7168},
                                            {"kv_a_proj", 4096, 576, 7168},
                                            {"q_b_proj", 4096, 24576, 1536},
                                            {"kv_b_proj", 4096, 32768, 512},
                                            {"o_proj", 4096, 7168, 16384},
                                            {"router_gate", 4096, 256, 7168},
                                            {"shared_gate_up_proj", 4096, 4096, 7168},
                                            {"shared_down_proj", 4096, 7168, 2048}});
    expect_gemms(moe_layer(Pass::backward_input), {{"shared_down_proj.dgrad", 4096, 2048, 7168},
                                                   {"shared_gate_up_proj.dgrad", 4096, 7168, 4096},
                                                   {"router_gate.dgrad", 4096, 7168, 256},
                                                   {"router_gate.wgrad", 256, 7168, 4096},
                                                   {"o_proj.dgrad", 4096, 16384, 7168},
                                                   {"q_b_proj.recompute", 4096, 24576, 1536},
                                                   {"kv_b_proj.recompute", 4096, 32768, 512},
                                                   {"q_b_proj.dgrad", 4096, 1536, 24576},
                                                   {"kv_b_proj.dgrad", 4096, 512, 32768},
                                                   {"kv_a_proj.dgrad", 4096, 7168, 576},
                                                   {"q_a_proj.dgrad", 4096, 7168, 1536}});
    expect_gemms(moe_layer(Pass::backward_weight), {{"shared_down_proj.wgrad", 7168, 2048, 4096},
                                                    {"shared_gate_up_proj.wgrad", 4096, 7168, 4096},
                                                    {"o_proj.wgrad", 7168, 16384, 4096},
                                                    {"kv_b_proj.wgrad", 32768, 512, 4096},
                                                    {"q_b_proj.wgrad", 24576, 1536, 4096},
                                                    {"kv_a_proj.wgrad", 576, 7168, 4096},
                                                    {"q_a_proj.wgrad", 1536, 7168, 4096}});
}

TEST(LoweringStructure, GroupedShapesAndAccumulation) {
    const auto forward = moe_layer(Pass::forward), weights = moe_layer(Pass::backward_weight);
    const auto& up = std::get<GroupedGemm>(test::find(forward, "experts_gate_up_proj")->shape);
    EXPECT_EQ(
        up,
        (GroupedGemm{
            .groups = 4, .rows = 32768, .n = 4096, .k = 7168, .precision = Precision::fp8_block}));
    const auto& dw = std::get<GroupedGemm>(test::find(weights, "experts_down_proj.wgrad")->shape);
    EXPECT_EQ(dw, (GroupedGemm{.groups = 4,
                               .rows = 32768,
                               .n = 7168,
                               .k = 2048,
                               .precision = Precision::fp8_block,
                               .layout = GroupLayout::k_grouped}));
    EXPECT_TRUE(std::get<Gemm>(test::find(weights, "o_proj.wgrad")->shape).accumulate);
    EXPECT_FALSE(std::get<Gemm>(test::find(forward, "o_proj")->shape).accumulate);
    EXPECT_EQ(std::get<Gemm>(test::find(forward, "router_gate")->shape).precision, Precision::bf16);
}

}  // namespace
}  // namespace orrery
