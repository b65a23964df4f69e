// Bytes of memory-bound operators, worked out from DeepSeek-V3's dimensions at 4,096 tokens, and of
// messages.

#include <cmath>

#include <gtest/gtest.h>

#include "models.hpp"
#include "phases.hpp"

namespace orrery {
namespace {

using test::memory;

constexpr double T = 4096, H = 7168;

std::vector<Phase> moe_layer(Pass pass, const ParallelPlan& plan, const BatchShape& batch = {}) {
    const ModelSpec model = test::deepseek_v3();
    return lower_layer(model, model.layers[10], plan, pass, batch);
}

void expect_bytes(const MemoryOp& op, double read, double written) {
    EXPECT_DOUBLE_EQ(op.read.value(), read);
    EXPECT_DOUBLE_EQ(op.written.value(), written);
}

// Cast: BF16 in; E4M3 and 7168 / 128 = 56 FP32 scales a token out. Its scales, transposed:
// 4*4096*56 both ways. The norm in front reads the stream and two block outputs, writes stream and
// result.
TEST(LoweringBytes, CastsScalesNorms) {
    const auto forward = moe_layer(Pass::forward, test::deepseek_v3_plan());
    expect_bytes(memory(forward, "q_a_proj.cast"), 2 * T * H, T * H + 4 * T * 56);
    expect_bytes(memory(forward, "q_a_proj.scale_transpose"), 4 * T * 56, 4 * T * 56);
    expect_bytes(memory(forward, "attention_norm"), 3 * 2 * T * H, 2 * 2 * T * H);
    expect_bytes(memory(forward, "q_a_norm"), 2 * T * 1536, 2 * T * 1536);
}

// The rotary key of 64 features goes to all 128 heads; E5M6 takes 12 bits and 128 scales a token.
TEST(LoweringBytes, KeysAndCachedAttentionOutput) {
    const auto forward = moe_layer(Pass::forward, test::deepseek_v3_plan());
    expect_bytes(memory(forward, "key_copy"), 2 * T * 128 * 128, 2 * T * 128 * 128);
    expect_bytes(memory(forward, "rope_key_broadcast"), 2 * T * 64, 2 * T * 128 * 64);
    expect_bytes(memory(forward, "attention_output.cast"), 2 * T * 16384,
                 1.5 * T * 16384 + 4 * T * 128);
    const auto backward = moe_layer(Pass::backward_input, test::deepseek_v3_plan());
    expect_bytes(memory(backward, "core_attention.backward_postprocess"), 4 * T * 128 * 192,
                 2 * T * 128 * 192);
}

// A token reaches, of the 32 ranks of its four nodes, 32 (1 - (120*119*118*117)/(128*127*126*125))
// = 32 * 0.229975 = 7.3592 ranks: 30,143 tokens arrive for 4096*8 = 32,768 rows, which four experts
// take in rows of 128 without padding. A token weighs 7168 + 4*56 = 7,392 bytes.
TEST(LoweringBytes, ExpertRows) {
    const auto forward = moe_layer(Pass::forward, test::deepseek_v3_plan());
    const double missed = 120.0 * 119 * 118 * 117 / (128.0 * 127 * 126 * 125);
    const double received = std::floor(T * 32 * (1 - missed) + 0.5);
    EXPECT_NEAR(received, 30143, 1);
    expect_bytes(memory(forward, "permute"), received * 7392, 32768.0 * 7392);
    expect_bytes(memory(forward, "unpermute"), 2 * 32768.0 * H, 2 * received * H);
    expect_bytes(memory(forward, "experts_gate_up_proj.weight_transpose"), 4 * 4096 * H,
                 4 * 4096 * H);
}

// 1.01 x balanced: 8,273.92 rows an expert, padded to 8,320.
TEST(LoweringBytes, ImbalanceIsPadded) {
    const BatchShape uneven{.routed_rows_factor = 1.01};
    const auto forward = moe_layer(Pass::forward, test::deepseek_v3_plan(), uneven);
    EXPECT_EQ(std::get<GroupedGemm>(test::find(forward, "experts_down_proj")->shape).rows,
              4 * 8320);
}

// Dispatch carries FP8 with scales, 7,392 B; combine BF16, 14,336 B; backward the other way round.
TEST(LoweringBytes, AllToAllPayloads) {
    const auto payload = [](const std::vector<Phase>& phases, const char* name) {
        return std::get<Communication>(test::find(phases, name)->shape);
    };
    const auto forward = moe_layer(Pass::forward, test::deepseek_v3_plan());
    const auto backward = moe_layer(Pass::backward_input, test::deepseek_v3_plan());
    const Communication dispatch = payload(forward, "dispatch");
    EXPECT_EQ(dispatch, (Communication{.kind = CommunicationKind::expert_dispatch,
                                       .group = Group::expert,
                                       .ranks = 64,
                                       .bytes = Bytes(7392),
                                       .tokens = 4096,
                                       .top_k = 8,
                                       .experts = 256,
                                       .node_limit = 4}));
    EXPECT_EQ(payload(forward, "combine").bytes, Bytes(14336));
    EXPECT_EQ(payload(backward, "combine.backward"), dispatch);
    EXPECT_EQ(payload(backward, "dispatch.backward"), payload(forward, "combine"));
}

TEST(LoweringBytes, PipelineSend) {
    ParallelPlan plan = test::deepseek_v3_plan();
    const auto bytes_at = [&](std::int64_t tp) {
        plan.tp = tp;
        return bytes(pipeline_send(test::deepseek_v3(), plan, {})).value();
    };
    EXPECT_EQ(bytes_at(1), 2 * T * H);
    EXPECT_EQ(bytes_at(4), 2 * T * H / 4);
}

// In BF16 nothing is cast, turned or brought back, and tokens travel in BF16.
TEST(LoweringBytes, Bf16HasNoCasts) {
    ParallelPlan plan = test::deepseek_v3_plan();
    plan.precision = Precision::bf16;
    for (const Pass pass : {Pass::forward, Pass::backward_input, Pass::backward_weight}) {
        for (const Phase& phase : moe_layer(pass, plan)) {
            for (const Operator& op : phase.operators) {
                EXPECT_EQ(test::letter(op).find_first_of("CXTK"), std::string::npos) << op.name;
            }
        }
    }
    const auto forward = moe_layer(Pass::forward, plan);
    EXPECT_EQ(std::get<Communication>(test::find(forward, "dispatch")->shape).bytes, Bytes(14336));
}

}  // namespace
}  // namespace orrery
