// Collectives that tensor and context parallelism put into a layer.

#include <gtest/gtest.h>

#include "models.hpp"
#include "phases.hpp"

namespace orrery {
namespace {

using enum PhaseKind;

constexpr double T = 4096;

Communication collective(const std::vector<Phase>& phases, const char* name) {
    return std::get<Communication>(test::find(phases, name)->shape);
}

// Norms see 1,024 of 4,096 tokens; each block gathers [4096, 4096] BF16 and scatters the same.
TEST(LoweringParallel, TensorParallelDenseLayer) {
    const ModelSpec model = test::llama3_8b();
    ParallelPlan plan;
    plan.tp = 4;
    const auto phases = lower_layer(model, model.layers[0], plan, Pass::forward, {});
    EXPECT_EQ(test::kinds(phases),
              (std::vector{attention, tensor_collective, attention, tensor_collective, attention,
                           tensor_collective, mlp, tensor_collective}));
    EXPECT_EQ(test::memory(phases, "attention_norm").rows, 1024);
    EXPECT_EQ(collective(phases, "mlp_input_all_gather"),
              (Communication{.kind = CommunicationKind::all_gather,
                             .group = Group::tensor,
                             .ranks = 4,
                             .bytes = Bytes(2 * T * 4096)}));
    EXPECT_EQ(collective(phases, "mlp_output_reduce_scatter").bytes, Bytes(2 * T * 4096));
    // 32 query and 8 key heads of 128 over four ranks: (8 + 2*2) * 128 = 1,536 outputs.
    EXPECT_EQ(std::get<Gemm>(test::find(phases, "qkv_proj")->shape),
              (Gemm{.m = 4096, .n = 1536, .k = 4096}));
    EXPECT_EQ(std::get<Gemm>(test::find(phases, "down_proj")->shape),
              (Gemm{.m = 4096, .n = 4096, .k = 3584}));
}

// MLA gathers its latents, 1536 + 512 + 64 features, rather than the hidden state.
TEST(LoweringParallel, LatentAttentionGathersLatents) {
    const ModelSpec model = test::deepseek_v3();
    ParallelPlan plan = test::deepseek_v3_plan();
    plan.tp = 2;
    const auto phases = lower_layer(model, model.layers[10], plan, Pass::forward, {});
    EXPECT_EQ(collective(phases, "latent_all_gather").bytes, Bytes(2 * T * 2112));
    EXPECT_EQ(std::get<Gemm>(test::find(phases, "q_a_proj")->shape).m, 2048);
    EXPECT_EQ(std::get<Gemm>(test::find(phases, "q_b_proj")->shape).n, 12288);
    EXPECT_EQ(collective(phases, "dispatch").tokens, 2048);
    const auto& experts = std::get<GroupedGemm>(test::find(phases, "experts_down_proj")->shape);
    EXPECT_EQ(experts.rows, 32768);
    EXPECT_EQ(experts.k, 1024);
}

// Two ranks, slices of 1,024: rank 0 holds the first and the last and sees 1,024 and 4,096 keys.
// K and V: 4096 tokens x 8 heads x (128 + 128) x 2 B.
TEST(LoweringParallel, ContextParallelGathersKeysAndValues) {
    const ModelSpec model = test::llama3_8b();
    ParallelPlan plan;
    plan.cp = 2;
    const auto forward = lower_layer(model, model.layers[0], plan, Pass::forward, {});
    EXPECT_EQ(collective(forward, "key_value_all_gather").bytes, Bytes(T * 8 * 256 * 2));
    std::vector<std::pair<std::int64_t, std::int64_t>> lengths;
    for (const Phase& phase : forward) {
        for (const Operator& op : phase.operators) {
            if (const auto* a = std::get_if<Attention>(&op.shape)) {
                lengths.emplace_back(a->query_length, a->key_length);
            }
        }
    }
    EXPECT_EQ(lengths, (decltype(lengths){{1024, 1024}, {1024, 4096}}));
    const auto backward = lower_layer(model, model.layers[0], plan, Pass::backward_input, {});
    EXPECT_EQ(collective(backward, "key_value_gradient_reduce_scatter").kind,
              CommunicationKind::reduce_scatter);
}

// Full recomputation puts the whole forward pass in front.
TEST(LoweringParallel, FullRecomputationRunsForwardAgain) {
    const ModelSpec model = test::deepseek_v3();
    ParallelPlan plan = test::deepseek_v3_plan();
    plan.recompute = {.full = true};
    EXPECT_EQ(test::kinds(lower_layer(model, model.layers[10], plan, Pass::backward_input, {})),
              (std::vector{attention, dispatch, mlp, combine, combine, mlp, dispatch, attention}));
}

}  // namespace
}  // namespace orrery
