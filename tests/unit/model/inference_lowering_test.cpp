#include "model/inference_lowering.hpp"

#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

#include "hardware/operator.hpp"
#include "model/lowering.hpp"
#include "models.hpp"

namespace orrery {
namespace {

double sum_flops(const std::vector<Operator>& list) {
    double sum = 0;
    for (const Operator& op : list) sum += flops(op).value();
    return sum;
}

double all_flops(const InferenceLayer& layer) {
    return sum_flops(layer.attention_in) + sum_flops(layer.core) + sum_flops(layer.attention_out) +
           sum_flops(layer.mlp) + sum_flops(layer.experts);
}

double training_flops(const ModelSpec& model, const LayerSpec& layer, const BatchShape& batch) {
    double sum = 0;
    const std::vector<Phase> phases = lower_layer(model, layer, {}, Pass::forward, batch);
    for (const Phase& phase : phases) sum += sum_flops(phase.operators);
    return sum;
}

// Whole prompts: 1 of `length` new tokens each, nothing cached.
InferenceBatch prompts(std::int64_t sequences, std::int64_t length) {
    return {.prefill_tokens = sequences * length,
            .prefill_sequences = sequences,
            .prefill_pairs = sequences * length * length / 2};
}

InferenceBatch decoding(std::int64_t sequences, std::int64_t context, std::int64_t verified = 1) {
    return {.decode_sequences = sequences,
            .decode_tokens = sequences * verified,
            .decode_context = sequences * context};
}

const Operator& named(const std::vector<Operator>& list, std::string_view name) {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Operator& op) { return name == op.name; });
    if (found == list.end()) throw std::runtime_error(std::string(name));
    return *found;
}

// The forward pass of training and a prefill of the same prompts multiply the same matrices:
// projections once fused and once apart, core attention with S^2 / 2 pairs, no recomputation.
TEST(InferenceLowering, PrefillComputesWhatTheTrainingForwardPassComputes) {
    const ModelSpec model = test::deepseek_v3();
    const BatchShape batch{.sequences = 2, .sequence_length = 4096};
    for (const LayerSpec& layer : {model.layers.front(), model.layers.back()}) {
        const InferencePlan plan;
        const InferenceBatch work = prompts(2, 4096);
        // 2 x 4096 x 8 / 256 = 256 rows an expert: a whole number of 128, so training pads none.
        const ExpertLoad load =
            layer.moe ? balanced_load(plan, *layer.moe, work.tokens()) : ExpertLoad{};
        const InferenceLayer lowered = lower_inference_layer(model, layer, plan, work, {}, load);
        EXPECT_DOUBLE_EQ(all_flops(lowered), training_flops(model, layer, batch));
    }
}

TEST(InferenceLowering, PrefillOfGroupedQueriesComputesTheSameToo) {
    ModelSpec model = test::deepseek_v3();
    LayerSpec layer = model.layers.front();
    layer.attention = test::attention(32, 8, 128);
    const BatchShape batch{.sequences = 3, .sequence_length = 1024};
    const InferenceLayer lowered =
        lower_inference_layer(model, layer, {}, prompts(3, 1024), {}, {});
    EXPECT_DOUBLE_EQ(all_flops(lowered), training_flops(model, layer, batch));
}

// One query and 4096 cached tokens on DeepSeek-V3, 128 heads. Absorbed, a query-key pair costs
// 2 x (576 + 512) FLOP a head, and the token 128 x 2 x (128 x 512 + 512 x 128) around it.
// Expanded, a pair costs 2 x (192 + 128), and every cached token 2 x 512 x 128 x 256.
TEST(InferenceLowering, AbsorbedAndExpandedAttentionByHand) {
    const ModelSpec model = test::deepseek_v3();
    const LayerSpec& layer = model.layers.back();
    const InferenceBatch work = decoding(1, 4096);
    const double absorbed = sum_flops(lower_decode_core(layer, {}, work, AttentionForm::absorbed));
    const double expanded = sum_flops(lower_decode_core(layer, {}, work, AttentionForm::expanded));
    EXPECT_DOUBLE_EQ(absorbed,
                     128 * 4096 * 2.0 * (576 + 512) + 128 * 2.0 * (128 * 512 + 512 * 128));
    EXPECT_DOUBLE_EQ(expanded, 128 * 4096 * 2.0 * (192 + 128) + 4096 * 2.0 * 512 * 128 * 256);
    // A pair alone: (2 x 512 + 64) / (192 + 128) = 3.4 times as much.
    EXPECT_DOUBLE_EQ(2.0 * (576 + 512) / (2.0 * (192 + 128)), 3.4);
}

// The same products in both forms over a whole prompt, written with the same weights: what differs
// is that W_UK and W_UV meet queries instead of keys. At S new tokens and no context both meet S.
TEST(InferenceLowering, BothFormsMultiplyTheUpProjectionOncePerToken) {
    const ModelSpec model = test::deepseek_v3();
    const LayerSpec& layer = model.layers.back();
    const InferenceBatch work = prompts(1, 2048);
    const auto products = [&](AttentionForm form) {
        double sum = 0;
        for (const Operator& op : lower_prefill_core(layer, {}, work, form)) {
            if (class_of(op) != OperatorClass::attention) sum += flops(op).value();
        }
        return sum;
    };
    EXPECT_DOUBLE_EQ(products(AttentionForm::absorbed), products(AttentionForm::expanded));
}

// A chunk of 512 tokens behind 3584 cached ones: each new token sees 3584 + 256 keys on average.
// Expanded, all 4096 latents are multiplied out; absorbed, none.
TEST(InferenceLowering, AChunkSeesItsContext) {
    const ModelSpec model = test::deepseek_v3();
    const LayerSpec& layer = model.layers.back();
    const InferenceBatch chunk{.prefill_tokens = 512,
                               .prefill_sequences = 1,
                               .prefill_pairs = 512 * 3584 + 512 * 512 / 2,
                               .prefill_context = 3584};
    const auto core = lower_prefill_core(layer, {}, chunk, AttentionForm::expanded);
    const auto& attention = std::get<Attention>(named(core, "core_attention").shape);
    EXPECT_EQ(attention.query_length, 512);
    EXPECT_EQ(attention.key_length, 4096);
    EXPECT_DOUBLE_EQ(flops(named(core, "core_attention")).value(),
                     2.0 * 128 * (512.0 * 3584 + 512 * 256) * 320);
    EXPECT_EQ(std::get<Gemm>(named(core, "kv_b_proj").shape).m, 4096);
}

// 128 query tokens decoding on DeepSeek-V3 in FP8: the projections read their weights once, 1 B an
// element and FP32 scales of 128 x 128 blocks, which dwarfs the activations.
TEST(InferenceLowering, DecodeReadsWeights) {
    const ModelSpec model = test::deepseek_v3();
    const InferencePlan plan{.precision = Precision::fp8_block};
    const InferenceLayer layer = lower_inference_layer(model, model.layers.back(), plan,
                                                       decoding(128, 4096), {}, {2, 1024, 900});
    const Operator& out = named(layer.attention_out, "o_proj");
    const double weights = 7168.0 * 16384 + 4.0 * 56 * 128;
    const double activations = 128.0 * 16384 + 4.0 * 128 * 128 + 2.0 * 128 * 7168;
    EXPECT_DOUBLE_EQ(bytes(out).value(), weights + activations);
    EXPECT_EQ(std::get<Gemm>(named(layer.attention_in, "qkv_a_proj").shape).n, 1536 + 576);
}

// 7168 x 2048 weights: 2 B each in BF16; INT8 1 B and 2 B a row; INT4 half a byte and 2 B for 128.
// The arithmetic stays.
TEST(InferenceLowering, WeightOnlyFormatsShrinkWeightsAlone) {
    const auto of = [](Precision p) { return Operator{"", Gemm{16, 7168, 2048, p}}; };
    const double rest = 2.0 * 16 * 2048 + 2.0 * 16 * 7168, elements = 7168.0 * 2048;
    EXPECT_DOUBLE_EQ(bytes(of(Precision::bf16)).value(), rest + 2 * elements);
    EXPECT_DOUBLE_EQ(bytes(of(Precision::int8_weight)).value(), rest + elements + 2 * 7168.0);
    EXPECT_DOUBLE_EQ(bytes(of(Precision::int4_weight)).value(),
                     rest + elements / 2 + 2 * elements / 128);
    EXPECT_EQ(flops(of(Precision::int4_weight)), flops(of(Precision::bf16)));
}

// 576 features of 4096 tokens: 1 B each instead of 2.
TEST(InferenceLowering, AnEightBitCacheHalvesWhatDecodingReads) {
    const ModelSpec model = test::deepseek_v3();
    const LayerSpec& layer = model.layers.back();
    const auto core = [&](std::int64_t bits) {
        const InferencePlan plan{.key_value_bits = bits};
        const auto list =
            lower_decode_core(layer, plan, decoding(8, 4096), AttentionForm::absorbed);
        return bytes(named(list, "core_attention")).value();
    };
    EXPECT_DOUBLE_EQ(core(16) - core(8), 8 * 4096 * 576.0);
}

// Sparse attention caps the keys of a query at 2048, and pays for the indexer's scores of them all.
TEST(InferenceLowering, SparseAttentionStopsGrowingWithContext) {
    ModelSpec model = test::deepseek_v3();
    LayerSpec layer = model.layers.back();
    layer.attention.mla->index_heads = 64;
    layer.attention.mla->index_head_dim = 128;
    layer.attention.mla->index_top_k = 2048;
    const auto core = [&](std::int64_t context) {
        return lower_decode_core(layer, {}, decoding(4, context), AttentionForm::absorbed);
    };
    const auto near = core(8192), far = core(65536);
    EXPECT_EQ(flops(named(near, "core_attention")), flops(named(far, "core_attention")));
    EXPECT_DOUBLE_EQ(flops(named(far, "indexer_scores")).value(), 4 * 65536 * 64 * 2.0 * 128);
}

// tp 4: heads, dense features and vocabulary are divided, norms and latents are not; two
// all-reduces a layer. Expert parallelism beyond the group has none: dispatch moves tokens.
TEST(InferenceLowering, TensorParallelismDividesHeadsAndFeatures) {
    const ModelSpec model = test::deepseek_v3();
    const InferencePlan four{.tp = 4};
    const InferenceBatch work = decoding(64, 4096);
    const InferenceLayer dense =
        lower_inference_layer(model, model.layers.front(), four, work, {}, {});
    EXPECT_EQ(std::get<Gemm>(named(dense.attention_in, "q_b_proj").shape).n, 32 * 192);
    EXPECT_EQ(std::get<Gemm>(named(dense.attention_in, "qkv_a_proj").shape).n, 2112);
    EXPECT_EQ(std::get<Gemm>(named(dense.mlp, "gate_up_proj").shape).n, 2 * 18432 / 4);
    EXPECT_EQ(std::get<Communication>(named(dense.attention_out, "attention_all_reduce").shape)
                  .bytes.value(),
              64 * 7168 * 2.0);
    EXPECT_NO_THROW(named(dense.mlp, "mlp_all_reduce"));
    EXPECT_FALSE(dense.all_to_all);

    const InferencePlan wide{.tp = 4, .dp = 8, .ep = 32, .expert_layout = GroupLayout::masked};
    const MoeSpec& moe = *model.layers.back().moe;
    const InferenceLayer sparse = lower_inference_layer(model, model.layers.back(), wide, work, {},
                                                        balanced_load(wide, moe, 64));
    EXPECT_TRUE(sparse.all_to_all);
    EXPECT_NO_THROW(named(sparse.attention_out, "attention_output_reduce_scatter"));
    // 64 tokens of a group are 16 of each of its ranks.
    EXPECT_EQ(std::get<Gemm>(named(sparse.attention_out, "router_gate").shape).m, 16);
}

// 8 groups of 64 tokens, 8 experts a token, on 32 ranks: 8 x 64 x 8 / 32 = 128 rows a rank. With
// packed rows, 8 experts of 16 rows each take 128 each.
TEST(InferenceLowering, BalancedLoadByHand) {
    const MoeSpec moe = *test::deepseek_v3().layers.back().moe;
    InferencePlan plan{.tp = 4, .dp = 8, .ep = 32, .expert_layout = GroupLayout::masked};
    EXPECT_EQ(balanced_load(plan, moe, 64).experts, 8);
    EXPECT_EQ(balanced_load(plan, moe, 64).rows, 128);
    EXPECT_EQ(balanced_load(plan, moe, 64, 288).experts, 9);
    plan.expert_layout = GroupLayout::contiguous;
    EXPECT_EQ(balanced_load(plan, moe, 64).rows, 8 * 128);
    // Inside a group of 4 with all of them: 64 x 8 / 4.
    const InferencePlan inside{.tp = 4, .ep = 4};
    EXPECT_EQ(balanced_load(inside, moe, 64).rows, 128);
    EXPECT_EQ(balanced_load(inside, moe, 64).experts, 64);
}

}  // namespace
}  // namespace orrery
