// DeepSeek-V3 and V2, piece by piece. h = 7168, 61 layers (3 dense), 128 heads, ranks 1536 and 512,
// head widths 128 + 64 and 128, 256 experts of 2048 (8 a token) and one shared, vocabulary 129,280.
//   attention   q_a 1536 h = 11,010,048; q_b 24,576 x 1,536 = 37,748,736; kv_a 576 h = 4,128,768;
//               kv_b 32,768 x 512 = 16,777,216; o 16,384 h = 117,440,512; norms 1,536 + 512
//               = 187,107,328 a layer
//   one expert  3 h 2,048 = 44,040,192;  router 256 h + 256 = 1,835,264;  dense MLP 3 h 18,432

#include "model/accounting.hpp"
#include "model/read_config.hpp"

namespace orrery {
namespace {

ModelSpec deepseek_v3() { return load_model("scenarios/models/deepseek_v3.json"); }

TEST(AccountingDeepSeek, V3ParametersByGroup) {
    const ParameterCount count = count_parameters(deepseek_v3());
    EXPECT_EQ(count.total, 671'026'419'200);
    EXPECT_EQ(count.active, 37'552'297'472);
    EXPECT_EQ(count.attention, 61 * 187'107'328LL);          // 11,413,547,008
    EXPECT_EQ(count.norms, 61 * 2 * 7168 + 7168);            // 874,496 + the final norm
    EXPECT_EQ(count.dense_mlp, 1'189'085'184);               // 3 x 396,361,728
    EXPECT_EQ(count.routed_experts, 653'908'770'816);        // 58 x 256 x 44,040,192
    EXPECT_EQ(count.active_routed_experts, 20'434'649'088);  // 58 x 8 x 44,040,192
    EXPECT_EQ(count.shared_experts, 2'554'331'136);          // 58 x 44,040,192
    EXPECT_EQ(count.router, 106'445'312);                    // 58 x 1,835,264
    EXPECT_EQ(count.embedding, 926'679'040);
    EXPECT_EQ(count.head, 926'679'040);
    // arXiv:2412.19437 section 4.2: 671B, 37B activated (37.55B with embedding and head).
    EXPECT_NEAR(static_cast<double>(count.total) / 671e9, 1, 0.001);
    EXPECT_NEAR(static_cast<double>(count.active) / 37e9, 1, 0.02);
    // README_WEIGHTS.md: 36.7B activated, which fits the count without the embedding (36.63B).
    EXPECT_NEAR(static_cast<double>(count.active - count.embedding) / 36.7e9, 1, 0.003);
}

// eh_proj 2 h h = 102,760,448; three norms; one MoE layer of 11,507,286,272, of which a token uses
// 585,318,656. Published: 11.5B unique, 2.4B activated with shared embedding and head, 685B in all
// on Hugging Face, where embedding and head are stored once more.
TEST(AccountingDeepSeek, V3MultiTokenPrediction) {
    const ParameterCount count = count_parameters(deepseek_v3());
    EXPECT_EQ(count.mtp_unique, 11'610'068'224);
    EXPECT_EQ(count.mtp_active, 688'100'608);
    EXPECT_EQ(count.total + count.mtp_unique, 682'636'487'424);
    EXPECT_EQ(count.mtp_active + count.embedding + count.head, 2'541'458'688);
    const auto shipped = count.total + count.mtp_unique + count.embedding + count.head;
    EXPECT_EQ(shipped, 684'489'845'504);
    EXPECT_NEAR(static_cast<double>(shipped) / 685e9, 1, 0.001);
}

// Matrices a token meets: 37,552,297,472 - embedding - norms (874,496 + 7,168 + 61 x 2,048) -
// router biases (58 x 256) = 36,624,596,992. Core attention, causal, forward:
// 61 layers x 2 x 128 x (192 + 128) x 2,048 = 10.234 GFLOP.
TEST(AccountingDeepSeek, V3FlopsPerToken) {
    const FlopsPerToken flops = flops_per_token(deepseek_v3(), 4096);
    const double linear = 2 * 36'624'596'992.0;
    EXPECT_EQ(flops.forward, linear + 10'234'101'760.0);
    EXPECT_EQ(flops.forward, 83.483295744e9);
    EXPECT_EQ(flops.training, 250.449887232e9);
    EXPECT_EQ(flops.training_non_causal, 281.152192512e9);
    EXPECT_NEAR(flops.training / 250e9, 1, 0.002);  // arXiv:2505.09343 Table 2
}

// 6 x (eh_proj 102,760,448 + layer 585,302,016 + head 926,679,040) + 3 x 167,772,160 of attention.
// The layer without its norms and router bias: 585,318,656 - 14,336 - 2,048 - 256. A count that
// leaves the last two in, as one compilation of these figures does, is 13,824 FLOP larger.
TEST(AccountingDeepSeek, V3MultiTokenPredictionFlops) {
    const FlopsPerToken flops = flops_per_token(deepseek_v3(), 4096);
    EXPECT_EQ(flops.mtp_training, 10'191'765'504.0);
    EXPECT_EQ(flops.mtp_training + 6 * (2048 + 256), 10'191'779'328.0);
}

// (512 + 64) x 2 bytes x layers.
TEST(AccountingDeepSeek, KvCache) {
    EXPECT_EQ(kv_bytes_per_token(deepseek_v3()), 70'272);
    EXPECT_EQ(kv_bytes_per_token(deepseek_v3(), 1), 35'136);
    EXPECT_EQ(kv_bytes_per_token(load_model("scenarios/models/deepseek_v2.json")), 69'120);
}

TEST(AccountingDeepSeek, V2) {
    const ModelSpec model = load_model("scenarios/models/deepseek_v2.json");
    const ParameterCount count = count_parameters(model);
    EXPECT_EQ(count.total, 235'741'434'880);
    EXPECT_EQ(count.active, 21'375'800'320);
    EXPECT_EQ(count.attention, 8'953'651'200);
    EXPECT_EQ(count.dense_mlp, 188'743'680);
    EXPECT_EQ(count.routed_experts, 222'717'542'400);
    EXPECT_EQ(count.active_routed_experts, 8'351'907'840);
    EXPECT_EQ(count.shared_experts, 2'783'969'280);
    EXPECT_EQ(count.router, 48'332'800);
    // The V2 report: 236B, 21B activated; arXiv:2505.09343 Table 2: 155 GFLOP.
    EXPECT_NEAR(static_cast<double>(count.total) / 236e9, 1, 0.002);
    EXPECT_NEAR(static_cast<double>(count.active) / 21e9, 1, 0.02);
    const FlopsPerToken flops = flops_per_token(model, 4096);
    EXPECT_EQ(flops.training, 155.30360832e9);
    EXPECT_EQ(flops.training_non_causal, 185.50259712e9);
    EXPECT_EQ(flops.forward, 51.76786944e9);
}

// V3.2 adds to each layer 8,192 x 1,536 + 128 h + 2 x 128 + 64 h = 13,959,424 and a 132-byte index
// key (128 FP8 and one FP32 scale). At 4,096 tokens and top 2,048, causal, the mean number of keys
// is 2,048 (4,096 - 1,024) / 4,096 = 1,536; the indexer scores 64 x 128 wide over 2,048.
TEST(AccountingDeepSeek, V32SparseAttention) {
    const ModelSpec v3 = deepseek_v3();
    const ModelSpec v32 = load_model("scenarios/models/deepseek_v3_2.json");
    EXPECT_EQ(count_parameters(v32).total, count_parameters(v3).total + 61 * 13'959'424LL);
    EXPECT_EQ(kv_bytes_per_token(v32), 70'272 + 61 * 132);
    const double added = 2.0 * (8192 * 1536 + 128 * 7168 + 64 * 7168) + 2.0 * 64 * 128 * 2048 -
                         2.0 * 128 * 320 * (2048 - 1536);
    EXPECT_DOUBLE_EQ(flops_per_token(v32, 4096).forward,
                     flops_per_token(v3, 4096).forward + 61 * added);
}

// Hugging Face stores V3 in FP8 with BF16 rest: 688.6 GB over its 163 files, embedding and head of
// the MTP module included once more (2 x 1.853 GB), which are not counted here.
TEST(AccountingDeepSeek, V3BytesAsPublished) {
    const double bytes = weight_bytes_as_published(deepseek_v3())->value();
    EXPECT_NEAR(bytes, 688.6e9 - 2 * 1.853e9, 1e9);
}

TEST(AccountingDeepSeek, LayersAddUpToTheTotal) {
    const ModelSpec model = deepseek_v3();
    const ParameterCount count = count_parameters(model);
    std::int64_t total = count.embedding + count.head + model.hidden, kv = 0;
    double flops = 2.0 * static_cast<double>(count.head);
    for (const LayerAccount& layer : account_layers(model, 4096)) {
        total += layer.parameters;
        kv += layer.kv_bytes;
        flops += layer.forward_flops;
    }
    EXPECT_EQ(total, count.total);
    EXPECT_EQ(kv, kv_bytes_per_token(model));
    EXPECT_EQ(flops, flops_per_token(model, 4096).forward);
    EXPECT_EQ(account_layers(model, 4096)[2].kind, "dense");
    EXPECT_EQ(account_layers(model, 4096)[2].parameters, 583'483'392);
    EXPECT_EQ(account_layers(model, 4096)[3].kind, "moe");
    EXPECT_EQ(account_layers(model, 4096)[3].parameters, 11'507'286'272);
    EXPECT_EQ(account_layers(model, 4096)[3].active, 585'318'656);
}

}  // namespace
}  // namespace orrery
