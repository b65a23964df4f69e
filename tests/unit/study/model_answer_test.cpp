#include "study/model_answer.hpp"

#include "core/error.hpp"

namespace orrery {
namespace {

ModelAnswer answer(const std::string& name, std::int64_t sequence_length = 4096,
                   const std::string& kv_type = "bf16") {
    return answer_model("scenarios/models/" + name + ".json", sequence_length,
                        parse_kv_type(kv_type));
}

TEST(ModelAnswer, DeepSeekV3) {
    const ModelAnswer a = answer("deepseek_v3");
    EXPECT_EQ(a.parameters.total, 671'026'419'200);
    EXPECT_EQ(a.parameters.active, 37'552'297'472);
    EXPECT_EQ(a.flops.training, 250.449887232e9);
    EXPECT_EQ(a.kv_bytes_per_token, 70'272);
    EXPECT_EQ(a.kv_bytes_per_sequence, 4096 * 70'272LL);
    ASSERT_EQ(a.groups.size(), 2u);
    EXPECT_EQ(layer_list(a.groups[0].layers), "0-2");
    EXPECT_EQ(layer_list(a.groups[1].layers), "3-60");
    EXPECT_EQ(answer("deepseek_v3", 4096, "fp8").kv_bytes_per_token, 35'136);
}

// 2,048 B a token and layer; 18 layers keep 4,096 tokens and 18 the last 128.
TEST(ModelAnswer, SlidingLayersKeepTheirWindow) {
    const ModelAnswer a = answer("gpt_oss_120b");
    EXPECT_EQ(a.kv_bytes_per_token, 36 * 2048);
    EXPECT_EQ(a.kv_bytes_per_sequence, 18 * 2048 * (4096 + 128));
    EXPECT_EQ(answer("gpt_oss_120b", 100).kv_bytes_per_sequence, 36 * 2048 * 100);
    EXPECT_EQ(layer_list(a.groups[0].layers), "0, 2, ..., 34");
}

TEST(ModelAnswer, LayerLists) {
    EXPECT_EQ(layer_list({0}), "0");
    EXPECT_EQ(layer_list({0, 1}), "0-1");
    EXPECT_EQ(layer_list({0, 2, 4}), "0, 2, 4");
    EXPECT_EQ(layer_list({0, 3, 4, 5, 9}), "0, 3-5, 9");
    EXPECT_EQ(layer_list({1, 4, 7, 10}), "1, 4, ..., 10");
}

TEST(ModelAnswer, BadOptions) {
    EXPECT_THROW(parse_kv_type("int3"), InputError);
    EXPECT_THROW(answer("deepseek_v3", 0), InputError);
    EXPECT_THROW(answer("missing"), InputError);
}

}  // namespace
}  // namespace orrery
