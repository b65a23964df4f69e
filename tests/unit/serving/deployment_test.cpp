#include "serving/deployment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "engines.hpp"
#include "serving/read_deployment.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

struct Hardware {
    ModelSpec model = load_model("scenarios/models/deepseek_v3.json");
    AcceleratorProfile accelerator = load_accelerator("h800_sxm5", "hw_profiles");
    ClusterProfile cluster = load_cluster("h800_ib_2048", "hw_profiles");
};

Deployment read(const std::string& text, const Hardware& on = {}) {
    return read_deployment(ConfigNode::parse(text, "test.json"), on.model, on.accelerator,
                           on.cluster);
}

std::string complaint(const std::string& text, const Hardware& on = {}) {
    try {
        read(text, on);
    } catch (const InputError& e) {
        return e.what();
    }
    return "";
}

const char* const kPublished = R"({"precision": "fp8_block", "draft_tokens": 1, "pools": [
    {"name": "prefill", "role": "prefill", "nodes": 4, "redundant_experts": 32,
     "placement": "eplb", "overlap": "two_batch", "prefill_tokens": 16384},
    {"name": "decode", "role": "decode", "nodes": 18, "redundant_experts": 32,
     "overlap": "automatic", "decode_sequences": 128}]})";

TEST(Deployment, DeepSeeksUnits) {
    const Deployment d = read(kPublished);
    ASSERT_EQ(d.pools.size(), 2u);
    EXPECT_EQ(d.pools[0].engine.plan.dp, 32);
    EXPECT_EQ(d.pools[0].engine.plan.ep, 32);
    EXPECT_EQ(d.pools[1].engine.plan.ep, 144);
    EXPECT_TRUE(d.pools[0].engine.routing.eplb);
    EXPECT_EQ(d.pools[1].role, EngineRole::decode);
    EXPECT_EQ(d.gpus(), 176);
    EXPECT_EQ(d.nodes(d.pools[0].engine.cluster), 22);
    EXPECT_EQ(d.find(EngineRole::decode)->name, "decode");
    EXPECT_EQ(d.find(EngineRole::mixed), nullptr);
}

// What weights, activations, buffers and runtime leave of 80 GB, over 62 layers x 1152 B a token
// (MTP's included). A decode GPU must hold 128 sequences of the published mean of 4,989 tokens.
TEST(Deployment, WhatIsLeftIsTheCache) {
    const Deployment d = read(kPublished);
    const DeployedPool& decode = d.pools[1];
    EXPECT_EQ(decode.kv_bytes_per_token, 62 * 1152);
    const double left = 80e9 - decode.held().value();
    EXPECT_EQ(decode.kv_capacity_tokens, static_cast<std::int64_t>(left / (62 * 1152)));
    EXPECT_GT(decode.kv_capacity_tokens, 128 * 4989 / 2);
}

TEST(Deployment, PoolsTakeTheirOwnOrTheCommonNumbers) {
    const Deployment d = read(R"({"kv_cache": "fp8", "clock": "burst", "pools": [
        {"name": "a", "nodes": 4}, {"name": "b", "nodes": 4, "kv_cache": "bf16",
         "clock": "sustained"}]})");
    EXPECT_EQ(d.pools[0].engine.plan.key_value_bits, 8);
    EXPECT_EQ(d.pools[1].engine.plan.key_value_bits, 16);
    EXPECT_EQ(d.pools[0].engine.clock, Clock::burst);
    EXPECT_EQ(d.pools[1].engine.clock, Clock::sustained);
    EXPECT_EQ(d.pools[0].engine.plan.precision, Precision::fp8_block);  // as the model is shipped
}

TEST(Deployment, ImpossibleOnesAreOneClearError) {
    const auto pool = [](const std::string& keys) {
        return "{\"pools\": [{\"name\": \"x\", " + keys + "}]}";
    };
    EXPECT_THAT(complaint(pool("\"nodes\": 1, \"tp\": 3")),
                HasSubstr("test.json: pools[0].nodes = 1: gives 8 GPUs, must be a multiple of tp"));
    EXPECT_THAT(complaint(pool("\"nodes\": 3, \"tp\": 24")),
                HasSubstr("pools[0].tp = 24: must divide the 128 attention heads"));
    EXPECT_THAT(complaint(pool("\"nodes\": 18")),
                HasSubstr("ep: must let ep = 144 divide 256 experts and 0"));
    EXPECT_THAT(complaint(pool("\"nodes\": 4, \"ep\": 12")),
                HasSubstr("pools[0].ep = 12: must be a multiple of tp = 1 that divides"));
    EXPECT_THAT(complaint(pool("\"tp\": 16, \"overlap\": \"two_batch\"")),
                HasSubstr("overlap = \"two_batch\": must be \"none\""));
    EXPECT_THAT(complaint(pool("\"tp\": 8")), HasSubstr("needs "));
    EXPECT_THAT(complaint(pool("\"tp\": 8")), HasSubstr("h800_sxm5 has 80.0 GB"));
    EXPECT_THAT(complaint(pool("\"nodes\": 300")), HasSubstr("nodes"));
    EXPECT_THAT(complaint(pool("\"nodes\": 4, \"colour\": 1")), HasSubstr("colour"));
    EXPECT_THAT(complaint(R"({"pools": []})"), HasSubstr("must name at least one pool"));
    EXPECT_THAT(complaint(R"({"precision": "fp4", "pools": []})"),
                HasSubstr("precision = \"fp4\": must be bf16, fp8_tensor"));
    EXPECT_THAT(complaint(R"({"pools": [{"name": "a", "nodes": 4}, {"name": "a", "nodes": 4}]})"),
                HasSubstr("must be named once"));
}

TEST(Deployment, DenseModelsHaveNoExpertsToSpread) {
    Hardware on;
    on.model = load_model("scenarios/models/llama3_8b.json");
    EXPECT_THAT(complaint(R"({"pools": [{"ep": 8, "dp": 8}]})", on),
                HasSubstr("ep = 8: must be 1: the model has no experts"));
    EXPECT_THAT(complaint(R"({"draft_tokens": 1, "pools": [{}]})", on),
                HasSubstr("must be 0: the model has no MTP module"));
    const Deployment d = read(R"({"pools": [{"tp": 2}]})", on);
    // 8 KV heads of 128 over two ranks, 32 layers.
    EXPECT_EQ(d.pools[0].kv_bytes_per_token, 32 * 2 * 4 * 128 * 2);
}

}  // namespace
}  // namespace orrery
