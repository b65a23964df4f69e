#include "hardware/operator.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

double bytes_of(decltype(Operator::shape) shape) { return bytes({"x", shape}).value(); }
double flops_of(decltype(Operator::shape) shape) { return flops({"x", shape}).value(); }

// 2 x 256 x 384 x 512 = 100,663,296.
TEST(Operator, GemmFlops) {
    EXPECT_EQ(flops_of(Gemm{.m = 256, .n = 384, .k = 512}), 100663296.0);
    EXPECT_EQ(flops_of(GroupedGemm{.groups = 4, .rows = 256, .n = 384, .k = 512}), 100663296.0);
}

// BF16: 2 (256*512 + 384*512) + 2*256*384 = 655,360 + 196,608.
// FP8 1x128: 256*512 + 384*512 = 327,680; scales 4 (256*4 + 3*4) = 4,144; result 196,608.
// FP8, one scale a tensor: 327,680 + 2*4 + 196,608.
TEST(Operator, GemmBytesByPrecision) {
    Gemm g{.m = 256, .n = 384, .k = 512};
    EXPECT_EQ(bytes_of(g), 851968.0);
    g.precision = Precision::fp8_block;
    EXPECT_EQ(bytes_of(g), 528432.0);
    g.precision = Precision::fp8_tensor;
    EXPECT_EQ(bytes_of(g), 524296.0);
}

// The weight gradient [256, 384] is FP32, read and written: 8*256*384 = 786,432. FP8 operands
// 327,680 with 1x128 scales on both: 4 (256*4 + 384*4) = 10,240.
TEST(Operator, AccumulationReadsAndWritesItsResult) {
    Gemm g{.m = 256, .n = 384, .k = 512, .accumulate = true};
    EXPECT_EQ(bytes_of(g), 655360.0 + 786432.0);
    g.precision = Precision::fp8_block;
    EXPECT_EQ(bytes_of(g), 327680.0 + 10240.0 + 786432.0);
}

// Four experts, 1,024 rows, 256 -> 128. Contiguous: 2*1024*256 + 2*4*128*256 + 2*1024*128
// = 524,288 + 262,144 + 262,144. Weight gradients, four of [128, 256]: 2*1024*(128 + 256)
// + 8*4*128*256 = 786,432 + 1,048,576.
TEST(Operator, GroupedGemmBytes) {
    GroupedGemm g{.groups = 4, .rows = 1024, .n = 128, .k = 256};
    EXPECT_EQ(bytes_of(g), 1048576.0);
    g.layout = GroupLayout::k_grouped;
    EXPECT_EQ(bytes_of(g), 1835008.0);
}

// DeepSeek-V3's heads over 4,096 tokens: forward 128 * 4096^2 * (192 + 128), backward
// 128 * 4096^2 * (3*192 + 2*128): S^2/2 pairs x 2 FLOP.
TEST(Operator, CausalAttentionFlops) {
    Attention a{.sequences = 1,
                .query_length = 4096,
                .key_length = 4096,
                .query_heads = 128,
                .key_heads = 128,
                .query_key_dim = 192,
                .value_dim = 128};
    EXPECT_EQ(flops_of(a), 687194767360.0);
    a.pass = AttentionPass::backward;
    EXPECT_EQ(flops_of(a), 1786706395136.0);
    a.pass = AttentionPass::forward;
    a.causal = false;
    EXPECT_EQ(flops_of(a), 2 * 687194767360.0);
}

// Equal head sizes: five products against two.
TEST(Operator, AttentionBackwardIsFiveHalvesOfForward) {
    Attention a{.sequences = 2,
                .query_length = 64,
                .key_length = 64,
                .query_heads = 4,
                .key_heads = 4,
                .query_key_dim = 128,
                .value_dim = 128};
    const double forward = flops_of(a);
    a.pass = AttentionPass::backward;
    EXPECT_EQ(flops_of(a), 2.5 * forward);
}

// Pairs, with half the diagonal's square: query and key 8, window 4: 4*4/2 + 4*4 = 24; eight
// queries behind eight earlier keys: 8*16 - 32 = 96; with window 10: the first two queries' rows
// grow from 8 to 10 (8*2 + 2*2/2 = 18), six rows of 10: 78; window 6: 8*6 = 48.
TEST(Operator, WindowsAndOffsets) {
    Attention a{.sequences = 1,
                .query_length = 8,
                .key_length = 8,
                .query_heads = 1,
                .key_heads = 1,
                .query_key_dim = 1,
                .value_dim = 0};
    const auto pairs = [&] { return flops_of(a) / 2; };
    EXPECT_EQ(pairs(), 32);
    a.window = 4;
    EXPECT_EQ(pairs(), 24);
    a.key_length = 16;
    a.window = 0;
    EXPECT_EQ(pairs(), 96);
    a.window = 10;
    EXPECT_EQ(pairs(), 78);
    a.window = 6;
    EXPECT_EQ(pairs(), 48);
}

// One decoding sequence, 1,000 keys of the MLA latent (576 of which 512 are the values), 128 heads:
// 2*1000*576 for the cache, 2*128*(576 + 512) for queries and results, 4*128 for statistics.
TEST(Operator, LatentCacheIsReadOnce) {
    const Attention a{.pass = AttentionPass::decode,
                      .sequences = 1,
                      .query_length = 1,
                      .key_length = 1000,
                      .query_heads = 128,
                      .key_heads = 1,
                      .query_key_dim = 576,
                      .value_dim = 512};
    EXPECT_EQ(bytes_of(a), 1152000.0 + 278528.0 + 512.0);
    EXPECT_EQ(flops_of(a), 2.0 * 128 * 1000 * (576 + 512));
}

TEST(Operator, ClassesAndNames) {
    EXPECT_EQ(class_of({"x", Gemm{}}), OperatorClass::gemm);
    EXPECT_EQ(class_of({"x", GroupedGemm{}}), OperatorClass::grouped_gemm);
    EXPECT_EQ(class_of({"x", Attention{}}), OperatorClass::attention);
    EXPECT_EQ(class_of({"x", MemoryOp{}}), OperatorClass::memory);
    EXPECT_EQ(class_of({"x", Communication{}}), OperatorClass::communication);
    EXPECT_EQ(to_string(Precision::fp8_block), "fp8_block");
    EXPECT_EQ(to_string(MemoryOpKind::attention_postprocess), "attention_postprocess");
    EXPECT_EQ(to_string(CommunicationKind::expert_combine), "expert_combine");
    EXPECT_EQ(to_string(Group::data_expert), "data_expert");
}

}  // namespace
}  // namespace orrery
