#include "model/inference_memory.hpp"

#include <string_view>

#include <gtest/gtest.h>

#include "models.hpp"

namespace orrery {
namespace {

double item(const std::vector<MemoryItem>& items, std::string_view name) {
    for (const MemoryItem& i : items) {
        if (i.name == name) return i.bytes.value();
    }
    return 0;
}

// 671.03 B parameters: embedding and head 2 x 129280 x 7168 = 1.853 B, routers 58 x 256 x 7168 =
// 0.106 B and the norms stay in 2 bytes; the rest in FP8 with a FP32 scale for 128 x 128.
TEST(InferenceMemory, DeepSeekV3InEachPrecision) {
    const ModelSpec model = test::deepseek_v3();
    const auto gigabytes = [&](Precision p) {
        return inference_weights(model, p, false).value() / 1e9;
    };
    EXPECT_NEAR(gigabytes(Precision::bf16), 2 * 671.03, 0.1);
    EXPECT_NEAR(gigabytes(Precision::fp8_block), 671.03 + 1.853 + 0.106 + 669.07 / 4096, 0.1);
    EXPECT_NEAR(gigabytes(Precision::fp8_tensor), 671.03 + 1.853 + 0.106, 0.1);
    // 4.125 bits an element.
    EXPECT_NEAR(gigabytes(Precision::int4_weight), 669.07 * 4.125 / 8 + 2 * 1.96, 0.5);
}

// 61 layers x (512 + 64) x 2 B, whole on every rank of a tensor group; one layer more for MTP.
TEST(InferenceMemory, LatentCache) {
    const ModelSpec model = test::deepseek_v3();
    EXPECT_EQ(kv_bytes_on_rank(model, {}, false), 70272);
    EXPECT_EQ(kv_bytes_on_rank(model, {}, true), 70272 + 1152);
    EXPECT_EQ(kv_bytes_on_rank(model, {.tp = 8, .ep = 8, .key_value_bits = 8}, false), 35136);
    // 31 of 61 layers on the first of two stages.
    EXPECT_EQ(kv_bytes_on_rank(model, {.pp = 2}, false), 31 * 1152);
}

// 8 KV heads of 128 over tp 4: 2 on each rank; over tp 16 one, twice.
TEST(InferenceMemory, GroupedCacheIsDividedByHeads) {
    ModelSpec model = test::deepseek_v3();
    for (LayerSpec& layer : model.layers) layer.attention = test::attention(32, 8, 128);
    EXPECT_EQ(kv_bytes_on_rank(model, {.tp = 4}, false), 61 * 2 * 2 * 128 * 2);
    EXPECT_EQ(kv_bytes_on_rank(model, {.tp = 16}, false), 61 * 2 * 1 * 128 * 2);
}

// EP 144 with 288 slots: 2 experts of 44.04 M a layer on each rank, and everything else whole:
// 671.03 B - 58 x 256 x 44.04 M = 17.12 B parameters.
TEST(InferenceMemory, WeightsOfARankOfTheDecodeUnit) {
    const ModelSpec model = test::deepseek_v3();
    const InferencePlan plan{.dp = 144, .ep = 144, .precision = Precision::fp8_block};
    const auto items = inference_memory(model, plan, {.decode_tokens = 256, .slots = 288});
    const double experts = 58 * 2 * 3 * 7168.0 * 2048, rest = 671.03e9 - 128 * experts;
    EXPECT_NEAR(item(items, "weights"), experts + rest + 1.96e9, 0.05e9);
    // 128 heads x 256 features x 512 x 61 layers x 2 B.
    EXPECT_DOUBLE_EQ(item(items, "absorbed projections"), 128 * 256 * 512 * 61 * 2.0);
}

// Everything divides over a tensor group with its experts, but latents, norms and routers.
TEST(InferenceMemory, TensorParallelismDividesWeights) {
    const ModelSpec model = test::deepseek_v3();
    const auto weights = [&](const InferencePlan& plan) {
        return item(inference_memory(model, plan, {}), "weights");
    };
    const double one = weights({}), sixteen = weights({.tp = 16, .ep = 16});
    EXPECT_GT(sixteen, one / 16);
    EXPECT_LT(sixteen, one / 16 * 1.05);
    // Experts cut by features instead of whole: the same bytes.
    EXPECT_NEAR(weights({.tp = 16, .ep = 1}), sixteen, 1);
    // Two stages: 30 of 61 layers hold about half.
    EXPECT_NEAR(weights({.tp = 8, .ep = 8, .pp = 2}) / (one / 16), 1.06, 0.06);
}

TEST(InferenceMemory, ActivationsGrowWithTheIteration) {
    const ModelSpec model = test::deepseek_v3();
    const InferencePlan plan{.dp = 32, .ep = 32, .precision = Precision::fp8_block};
    const auto of = [&](std::int64_t tokens) {
        return item(inference_memory(model, plan, {.prefill_tokens = tokens}), "activations");
    };
    EXPECT_NEAR(of(16384) / of(8192), 2, 0.1);
    EXPECT_GT(of(8192), 8192 * 7168 * 4.0);
}

// 256 + 32 slots x 128 tokens x (7168 + 224 + 16 + 14336) B, sent and received.
TEST(InferenceMemory, LowLatencyBuffersByHand) {
    const ModelSpec model = test::deepseek_v3();
    const InferencePlan plan{.dp = 144, .ep = 144, .precision = Precision::fp8_block};
    const auto items =
        inference_memory(model, plan, {.decode_tokens = 128, .slots = 288, .low_latency = true});
    EXPECT_DOUBLE_EQ(item(items, "all-to-all buffers"),
                     2 * 288.0 * 128 * (7168 + 224 + 16 + 14336));
}

}  // namespace
}  // namespace orrery
