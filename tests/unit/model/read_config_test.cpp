#include "model/read_config.hpp"

#include <gmock/gmock.h>

#include "core/error.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

// Reads one of the shipped files with overrides ("key", "JSON value").
ModelSpec read_with(const std::string& file,
                    const std::vector<std::pair<std::string, std::string>>& changes) {
    ConfigNode config = ConfigNode::load("scenarios/models/" + file + ".json");
    for (const auto& [key, value] : changes) config.set(key, value);
    // Read again, so that messages do not speak of overrides.
    return read_model_config(ConfigNode::parse(config.dump(), config.file()));
}

std::string error_of(const std::string& file,
                     const std::vector<std::pair<std::string, std::string>>& changes) {
    try {
        read_with(file, changes);
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

TEST(ReadConfig, DeepSeekV3) {
    const ModelSpec model = load_model("scenarios/models/deepseek_v3.json");
    EXPECT_EQ(model.name, "deepseek_v3");
    EXPECT_EQ(model.weight_format, "fp8_block");
    ASSERT_EQ(model.layers.size(), 61u);
    EXPECT_EQ(model.layers[2].dense_intermediate, 18432);
    EXPECT_FALSE(model.layers[2].moe);
    ASSERT_TRUE(model.layers[3].moe);
    const MoeSpec& moe = *model.layers[3].moe;
    EXPECT_EQ(moe.experts, 256);
    EXPECT_EQ(moe.top_k, 8);
    EXPECT_EQ(moe.groups, 8);
    EXPECT_EQ(moe.top_k_groups, 4);
    EXPECT_EQ(moe.shared_expert_intermediate, 2048);
    EXPECT_TRUE(moe.router_bias);
    ASSERT_TRUE(model.layers[0].attention.mla);
    EXPECT_EQ(model.layers[0].attention.head_dim, 192);
    EXPECT_EQ(model.mtp_modules, 1);
    EXPECT_TRUE(model.mtp_layer->moe);
}

TEST(ReadConfig, DeepSeekVariants) {
    const ModelSpec lite = load_model("scenarios/models/deepseek_v2_lite.json");
    EXPECT_EQ(lite.layers[0].attention.mla->q_lora_rank, 0);
    EXPECT_EQ(lite.layers[1].moe->shared_expert_intermediate, 2 * 1408);
    EXPECT_FALSE(lite.layers[1].moe->router_bias);
    EXPECT_EQ(lite.mtp_modules, 0);
    EXPECT_EQ(lite.weight_format, "bf16");
    const ModelSpec v32 = load_model("scenarios/models/deepseek_v3_2.json");
    EXPECT_EQ(v32.layers[60].attention.mla->index_heads, 64);
    EXPECT_EQ(v32.layers[60].attention.mla->index_top_k, 2048);
    const ModelSpec kimi = load_model("scenarios/models/kimi_k2.json");
    EXPECT_FALSE(kimi.layers[0].moe);
    EXPECT_EQ(kimi.layers[1].moe->experts, 384);
    EXPECT_EQ(kimi.layers[1].moe->groups, 1);
    EXPECT_TRUE(kimi.layers[1].moe->router_bias);
}

TEST(ReadConfig, GroupedQueryFamilies) {
    const AttentionSpec llama = load_model("scenarios/models/llama3_8b.json").layers[0].attention;
    EXPECT_EQ(llama.kv_heads, 8);
    EXPECT_EQ(llama.head_dim, 128);
    EXPECT_FALSE(llama.qkv_bias);
    const AttentionSpec qwen2 =
        load_model("scenarios/models/qwen2_5_72b.json").layers[79].attention;
    EXPECT_TRUE(qwen2.qkv_bias);
    EXPECT_FALSE(qwen2.output_bias);
    EXPECT_EQ(qwen2.sliding_window, 0);  // use_sliding_window is false
    const AttentionSpec qwen3 =
        load_model("scenarios/models/qwen3_235b_a22b.json").layers[0].attention;
    EXPECT_TRUE(qwen3.qk_norm);
    EXPECT_EQ(qwen3.head_dim, 128);  // given: 64 x 128 is twice the hidden size
    // Old Llama files have no num_key_value_heads.
    EXPECT_EQ(
        read_with("llama2_70b", {{"num_key_value_heads", "null"}}).layers[0].attention.kv_heads,
        64);
}

TEST(ReadConfig, GptOss) {
    const ModelSpec model = load_model("scenarios/models/gpt_oss_120b.json");
    EXPECT_EQ(model.weight_format, "mxfp4");
    EXPECT_EQ(model.layers[0].attention.sliding_window, 128);
    EXPECT_EQ(model.layers[1].attention.sliding_window, 0);
    EXPECT_TRUE(model.layers[0].attention.attention_sinks);
    EXPECT_TRUE(model.layers[0].attention.output_bias);
    EXPECT_TRUE(model.layers[0].moe->expert_bias);
    EXPECT_EQ(model.layers[0].moe->top_k, 4);
    // Without layer_types the even layers slide, as transformers' default does.
    const ModelSpec older = read_with("gpt_oss_20b", {{"layer_types", "null"}});
    EXPECT_EQ(older.layers[22].attention.sliding_window, 128);
    EXPECT_EQ(older.layers[23].attention.sliding_window, 0);
}

// Of 6 layers with a step of 2, those at 1, 3, 5 have experts; mlp_only_layers takes 3 away.
TEST(ReadConfig, QwenSparseStepAndDenseLayers) {
    const ModelSpec model = read_with(
        "qwen2_57b_a14b",
        {{"num_hidden_layers", "6"}, {"decoder_sparse_step", "2"}, {"mlp_only_layers", "[3]"}});
    std::string kinds;
    for (const LayerSpec& layer : model.layers) kinds += layer.moe ? 'M' : 'd';
    EXPECT_EQ(kinds, "dMdddM");
    EXPECT_EQ(model.layers[0].dense_intermediate, 18944);
    EXPECT_TRUE(model.layers[1].moe->shared_expert_gate);
    EXPECT_EQ(model.layers[1].moe->shared_expert_intermediate, 20480);
}

TEST(ReadConfig, QwenSlidingWindowFromALayerOn) {
    const ModelSpec model = read_with(
        "qwen2_5_72b",
        {{"use_sliding_window", "true"}, {"max_window_layers", "70"}, {"sliding_window", "4096"}});
    EXPECT_EQ(model.layers[69].attention.sliding_window, 0);
    EXPECT_EQ(model.layers[70].attention.sliding_window, 4096);
}

TEST(ReadConfig, WeightFormats) {
    EXPECT_EQ(read_with("llama2_70b", {}).weight_format, "fp16");
    EXPECT_EQ(read_with("llama3_8b", {{"quantization_config", R"({"quant_method": "fp8"})"}})
                  .weight_format,
              "fp8_tensor");
    EXPECT_EQ(read_with("llama3_8b", {{"quantization_config", R"({"quant_method": "awq"})"}})
                  .weight_format,
              "awq");
}

TEST(ReadConfig, UnknownKeysAreIgnored) {
    ConfigNode config = ConfigNode::load("scenarios/models/llama3_8b.json");
    config.set("surprise", "{\"a\": [1, {\"b\": 2}]}");
    read_model_config(config);
    EXPECT_NO_THROW(config.reject_unknown_keys());
}

TEST(ReadConfig, ErrorsNameFileKeyValueAndRule) {
    EXPECT_EQ(error_of("llama3_8b", {{"hidden_size", "null"}}),
              "scenarios/models/llama3_8b.json: hidden_size: is missing");
    EXPECT_EQ(error_of("llama3_8b", {{"num_hidden_layers", "0"}}),
              "scenarios/models/llama3_8b.json: num_hidden_layers = 0: must be >= 1");
    EXPECT_EQ(error_of("llama3_8b", {{"vocab_size", "\"big\""}}),
              "scenarios/models/llama3_8b.json: vocab_size = \"big\": must be a whole number");
    EXPECT_EQ(error_of("llama3_8b", {{"num_key_value_heads", "5"}}),
              "scenarios/models/llama3_8b.json: num_key_value_heads = 5: must divide "
              "num_attention_heads = 32");
    EXPECT_EQ(error_of("llama3_8b", {{"num_attention_heads", "24"}}),
              "scenarios/models/llama3_8b.json: num_attention_heads = 24: must divide hidden_size "
              "= 4096 where head_dim is not given");
    EXPECT_EQ(error_of("mixtral_8x7b", {{"num_experts_per_tok", "9"}}),
              "scenarios/models/mixtral_8x7b.json: num_experts_per_tok = 9: must be <= 8");
    EXPECT_EQ(error_of("deepseek_v3", {{"topk_group", "9"}}),
              "scenarios/models/deepseek_v3.json: topk_group = 9: must be <= 8");
    EXPECT_EQ(error_of("deepseek_v3", {{"n_group", "7"}}),
              "scenarios/models/deepseek_v3.json: n_group = 7: must divide n_routed_experts = 256");
    EXPECT_EQ(error_of("gpt_oss_20b", {{"num_hidden_layers", "23"}}).substr(0, 48),
              "scenarios/models/gpt_oss_20b.json: layer_types =");
}

TEST(ReadConfig, UnknownArchitectureListsTheSupportedOnes) {
    const std::string error = error_of("llama3_8b", {{"architectures", "[\"BertModel\"]"}});
    EXPECT_THAT(error, HasSubstr("architectures[0] = \"BertModel\": is not supported"));
    for (const std::string& name : supported_architectures()) EXPECT_THAT(error, HasSubstr(name));
    EXPECT_EQ(error_of("llama3_8b", {{"architectures", "null"}}),
              "scenarios/models/llama3_8b.json: architectures: is missing");
}

TEST(ReadConfig, AbsurdSizes) {
    EXPECT_THAT(error_of("llama3_8b", {{"num_hidden_layers", "10001"}}), HasSubstr("<= 10000"));
    EXPECT_THAT(
        error_of("deepseek_v3", {{"hidden_size", "4000000"}, {"moe_intermediate_size", "4000000"}}),
        HasSubstr("must be <= 1e15"));
}

TEST(ReadConfig, NameOfAPlainConfigIsItsFolder) {
    const ConfigNode llama = ConfigNode::load("scenarios/models/llama3_8b.json");
    const ConfigNode config = ConfigNode::parse(llama.dump(), "models/Llama-3-8B/config.json");
    EXPECT_EQ(read_model_config(config).name, "Llama-3-8B");
    EXPECT_EQ(read_model_config(config, "mine").name, "mine");
}

}  // namespace
}  // namespace orrery
