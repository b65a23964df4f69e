#include <gmock/gmock.h>

#include "core/error.hpp"
#include "model/read_config.hpp"
#include "model/read_plan.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelSpec model(const std::string& name) {
    return load_model("scenarios/models/" + name + ".json");
}

// The plan of a scenario, read and checked at 4,096 tokens a sequence.
ParallelPlan plan_of(const std::string& model_name, const std::string& json) {
    const ConfigNode scenario = ConfigNode::parse("{\"plan\": " + json + "}", "s.json");
    const ModelSpec spec = model(model_name);
    const ParallelPlan plan = read_plan(scenario.at("plan"), spec);
    scenario.reject_unknown_keys();
    check_plan(spec, plan, 4096, scenario.at("plan"));
    return plan;
}

std::string error_of(const std::string& model_name, const std::string& json) {
    try {
        plan_of(model_name, json);
    } catch (const InputError& e) {
        return e.what();
    }
    return "no error";
}

std::vector<std::size_t> layers_on(const std::vector<StageLayout>& stages) {
    std::vector<std::size_t> counts;
    for (const StageLayout& s : stages) counts.push_back(s.layers.size());
    return counts;
}

TEST(Plan, Defaults) {
    const ParallelPlan plan = plan_of("llama3_8b", "{}");
    EXPECT_EQ(plan.ranks(), 1);
    EXPECT_EQ(plan.schedule, "1f1b");
    EXPECT_EQ(plan.precision, Precision::bf16);
    EXPECT_EQ(plan.zero_stage, 1);
    EXPECT_FALSE(plan.recompute.full);
    ASSERT_EQ(plan.stages.size(), 1u);
    EXPECT_TRUE(plan.stages[0].embedding && plan.stages[0].head);
    EXPECT_EQ(plan.stages[0].layers.size(), 32u);
}

TEST(Plan, DeepSeek) {
    const ParallelPlan plan = plan_of("deepseek_v3", R"({"pp": 16, "dp": 128, "ep": 64,
        "schedule": "dualpipe", "precision": "fp8_block", "placement": "deepseek_v3",
        "recompute": ["norm", "mla_up_projection", "swiglu"],
        "framework_memory": {"value": "2 GB", "origin": "assumed", "source": "a guess"}})");
    EXPECT_EQ(plan.ranks(), 2048);
    EXPECT_TRUE(plan.recompute.norm && plan.recompute.mla_up_projection && plan.recompute.swiglu);
    EXPECT_FALSE(plan.recompute.full);
    EXPECT_EQ(plan.framework_memory.value, Bytes(2e9));
    EXPECT_THAT(layers_on(plan.stages),
                ElementsAre(4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1));
    EXPECT_EQ(plan.stages[15].mtp_modules, 1);
    EXPECT_TRUE(plan.stages[15].head);
}

// 7 layers over 3 stages: 7 = 3 + 2 + 2. Front-loaded: ceil(7/3) = 3, 3, 1; over 5: 2, 2, 1, 1, 1.
TEST(Plan, PlacementRules) {
    ModelSpec spec = model("llama3_8b");
    spec.layers.resize(7);
    EXPECT_THAT(layers_on(default_stages(spec, 3)), ElementsAre(3, 2, 2));
    EXPECT_THAT(layers_on(front_loaded_stages(spec, 3)), ElementsAre(3, 3, 1));
    EXPECT_THAT(layers_on(front_loaded_stages(spec, 5)), ElementsAre(2, 2, 1, 1, 1));
    EXPECT_THAT(layers_on(front_loaded_stages(spec, 7)), ElementsAre(1, 1, 1, 1, 1, 1, 1));
    EXPECT_EQ(default_stages(spec, 3)[1].layers, (std::vector<std::int32_t>{3, 4}));
}

TEST(Plan, NamedStages) {
    const ParallelPlan plan = plan_of("deepseek_v3", R"({"pp": 2, "stages": [
        {"embedding": true, "layers": "0-3,4,5-29"}, {"layers": "30-60", "mtp": 1, "head": true}]})");
    EXPECT_THAT(layers_on(plan.stages), ElementsAre(30, 31));
    EXPECT_EQ(plan.stages[1].mtp_modules, 1);
    EXPECT_FALSE(plan.stages[1].embedding);
}

TEST(Plan, StagesPerRank) {
    const auto stages = [](const std::string& json) {
        return stage_count(plan_of("qwen2_5_72b", json));
    };
    EXPECT_EQ(stages(R"({"pp": 4})"), 4);
    EXPECT_EQ(stages(R"({"pp": 4, "schedule": "dualpipe"})"), 4);
    EXPECT_EQ(stages(R"({"pp": 4, "schedule": "dualpipe_v"})"), 8);
    EXPECT_EQ(stages(R"({"pp": 4, "schedule": "zb_v"})"), 8);
    EXPECT_EQ(stages(R"({"pp": 4, "schedule": "interleaved_1f1b"})"), 8);
    EXPECT_EQ(stages(R"({"pp": 4, "schedule": "interleaved_1f1b", "virtual_stages": 5})"), 20);
    EXPECT_EQ(error_of("qwen2_5_72b", R"({"pp": 4, "schedule": "zb1p", "virtual_stages": 5})"),
              "s.json: plan.virtual_stages = 5: must be 1 with schedule zb1p, or left out: only "
              "interleaved_1f1b has a choice");
    EXPECT_EQ(plan_of("llama3_8b", R"({"framework_memory": "3 GB"})").framework_memory.value,
              Bytes(3e9));
}

TEST(Plan, Divisibility) {
    EXPECT_EQ(error_of("llama3_8b", R"({"tp": 3})"),
              "s.json: plan.tp = 3: must divide the attention heads, 32");
    EXPECT_EQ(error_of("qwen2_5_72b", R"({"tp": 64})"), "no error");  // KV heads are replicated
    EXPECT_EQ(error_of("gpt_oss_120b", R"({"tp": 64, "dp": 3, "ep": 3})"),
              "s.json: plan.ep = 3: must divide the number of experts, 128");
    EXPECT_EQ(error_of("deepseek_v3", R"({"dp": 96, "ep": 64})"),
              "s.json: plan.ep = 64: must divide plan.dp = 96");
    EXPECT_EQ(error_of("llama3_8b", R"({"dp": 4, "ep": 2})"),
              "s.json: plan.ep = 2: must be 1: llama3_8b has no experts");
    EXPECT_EQ(error_of("llama3_8b", R"({"cp": 3})"),
              "s.json: plan.cp = 3: tp x cp = 3 must divide the sequence length 4096");
    EXPECT_EQ(error_of("mixtral_8x7b", R"({"pp": 33})"),
              "s.json: plan.pp = 33: gives 33 stages, must give at most the model's 32 layers");
    EXPECT_EQ(error_of("mixtral_8x7b", R"({"pp": 17, "schedule": "dualpipe_v"})"),
              "s.json: plan.pp = 17: gives 34 stages, must give at most the model's 32 layers");
}

TEST(Plan, AbsurdSizes) {
    EXPECT_EQ(error_of("llama3_8b", R"({"dp": 1000001})"),
              "s.json: plan.dp = 1000001: must be <= 1000000");
    EXPECT_EQ(error_of("llama3_8b", R"({"tp": 32, "dp": 40000})"),
              "s.json: plan.dp = 40000: tp x pp x cp x dp must be <= 1000000 GPUs");
    EXPECT_EQ(error_of("llama3_8b", R"({"tp": 0})"), "s.json: plan.tp = 0: must be >= 1");
    EXPECT_EQ(error_of("llama3_8b", R"({"tp": 1.5})"),
              "s.json: plan.tp = 1.5: must be a whole number");
}

TEST(Plan, BadValues) {
    EXPECT_EQ(error_of("llama3_8b", R"({"precision": "fp4"})"),
              "s.json: plan.precision = \"fp4\": must be bf16, fp8_tensor or fp8_block");
    EXPECT_EQ(error_of("llama3_8b", R"({"recompute": ["norm", "all"]})"),
              "s.json: plan.recompute[1] = \"all\": must be norm, mla_up_projection, swiglu, full "
              "or none");
    EXPECT_EQ(error_of("llama3_8b", R"({"zero_stage": 3})"),
              "s.json: plan.zero_stage = 3: must be <= 1");
    EXPECT_EQ(error_of("llama3_8b", R"({"placement": "best"})"),
              "s.json: plan.placement = \"best\": must be even or deepseek_v3");
    EXPECT_THAT(error_of("llama3_8b", R"({"tensor_parallel": 2})"),
                HasSubstr("plan.tensor_parallel = 2: is not a known key"));
    EXPECT_EQ(plan_of("llama3_8b", R"({"recompute": "none"})").recompute.norm, false);
    EXPECT_EQ(plan_of("llama3_8b", R"({"recompute": "full"})").recompute.full, true);
}

std::string stages_error(const std::string& stages) {
    return error_of("mixtral_8x7b", R"({"pp": 2, "stages": )" + stages + "}");
}

TEST(Plan, EveryLayerOnceInOrder) {
    EXPECT_EQ(stages_error(R"([{"embedding": true, "layers": "0-15"},
                               {"layers": "17-31", "head": true}])"),
              "s.json: plan.stages[1].layers = 17: must go on with layer 16: every layer once, in "
              "order");
    EXPECT_EQ(stages_error(R"([{"embedding": true, "layers": "0-15"},
                               {"layers": "16-30", "head": true}])"),
              "s.json: plan.stages[1].layers = 30: must end with the model's last layer, 31");
    EXPECT_EQ(stages_error(R"([{"embedding": true, "layers": "0-15"},
                               {"layers": "16-32", "head": true}])"),
              "s.json: plan.stages[1].layers = \"16-32\": layer 32 must be less than 32");
    EXPECT_EQ(stages_error(R"([{"layers": "0-15"}, {"layers": "16-31", "head": true}])"),
              "s.json: plan.stages[0].embedding = 0: must be true: the first stage starts with the "
              "embedding");
    EXPECT_EQ(stages_error(R"([{"embedding": true, "layers": "0-15", "head": true},
                               {"layers": "16-31", "head": true}])"),
              "s.json: plan.stages[0].head = 1: must be on the last stage only");
    EXPECT_EQ(stages_error(R"([{"embedding": true, "layers": "0-15"},
                               {"layers": "16-31", "head": true, "mtp": 1}])"),
              "s.json: plan.stages[1].mtp = 1: must be 0 or the model's 0");
    EXPECT_THAT(stages_error(R"([{"embedding": true, "layers": "0-31", "head": true}])"),
                HasSubstr("has 1 stages, must have the 2 of pp and schedule"));
    EXPECT_THAT(stages_error(R"([{"layers": "3-1"}])"), HasSubstr("range 3-1 must not fall"));
    EXPECT_THAT(stages_error(R"([{"layers": "a"}])"), HasSubstr("must be layers such as"));
    EXPECT_THAT(stages_error(R"([{"layers": "1,"}])"), HasSubstr("must be layers such as"));
}

}  // namespace
}  // namespace orrery
