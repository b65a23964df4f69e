// Serving scenarios: shipped ones run, settings used run again, what is wrong is named.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/run.hpp"
#include "study/serving_scenario.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kChat = "scenarios/serving/llama3_8b_a100_10k.json";

RunResult run(const fs::path& file, const std::vector<std::string>& sets) {
    return run_scenario(load_scenario(file, sets), {.profiles = "hw_profiles"}).result;
}
double value(const RunResult& result, const char* name) {
    const Metric* metric = result.find(name);
    return metric == nullptr ? -1 : metric->value;
}

// A hundred requests of every shipped scenario finish; what was used is a scenario that gives the
// same events.
TEST(ServingScenarios, RunAndRunAgainFromTheSettingsUsed) {
    int scenarios = 0;
    for (const auto& entry : fs::directory_iterator("scenarios/serving")) {
        if (entry.path().extension() != ".json") continue;
        SCOPED_TRACE(entry.path().string());
        const RunResult result = run(entry.path(), {"workload.requests=100"});
        EXPECT_EQ(result.kind, "serving");
        EXPECT_GT(value(result, "ttft_p50"), 0);
        EXPECT_LE(value(result, "ttft_p50"), value(result, "ttft_p99"));
        EXPECT_GE(value(result, "e2e_mean"), value(result, "ttft_mean"));
        EXPECT_GT(value(result, "output_throughput_per_gpu"), 0);
        EXPECT_GT(value(result, "cost_per_million_output_tokens"), 0);
        EXPECT_GT(value(result, "kv_capacity_tokens"), 0);
        ASSERT_FALSE(result.breakdown.empty());
        const fs::path again = fs::temp_directory_path() / "orrery_serving_used.json";
        std::ofstream(again) << result.used;
        EXPECT_EQ(run(again, {}).fingerprint, result.fingerprint);
        fs::remove(again);
        ++scenarios;
    }
    EXPECT_GE(scenarios, 5);
}

std::string complaint(const std::vector<std::string>& sets) {
    try {
        run(kChat, sets);
    } catch (const InputError& e) {
        return e.what();
    }
    return "no complaint";
}

TEST(ServingScenarios, NameWhatIsWrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"workload.format=csv", "workload.format = \"csv\": must be one of synthetic, closed_loop"},
        {"workload.rate_scale=0", "workload.rate_scale = 0: must be from 1e-06"},
        {"workload.trace=no_such_file", "workload.trace = \"no_such_file\": must be a file"},
        {"workload.colour=1", "workload.colour"},
        {"scheduling.chat.policy=orca", "scheduling.chat.policy = \"orca\": must be one of sglang"},
        {"scheduling.chat.policy={\"like\": \"vllm_like\", \"watermark\": 2}",
         "scheduling.chat.policy.watermark = 2: must be from 0 to 0.9"},
        {"scheduling.chat.policy={\"like\": \"vllm_like\", \"chunk\": 2}",
         "scheduling.chat.policy.chunk"},
        {"scheduling.chat.router=random", "scheduling.chat.router = \"random\": must be one of"},
        {"scheduling.chat.acceptance=[0.8]", "must have as many figures as there are drafts, 0"},
        {"scheduling.chat.kv.page_tokens=0", "scheduling.chat.kv.page_tokens = 0: must be"},
        {"scheduling.chat.kv.host={\"memory\": \"1 GB\"}", "must have bandwidth"},
        {"scheduling.chat.kv.host={\"memory\": \"1 GB\", \"bandwidth\": \"0 GB/s\"}",
         "scheduling.chat.kv.host.bandwidth = \"0 GB/s\": must be above zero"},
        {"scheduling.chat.kv.memory_share=2", "kv.memory_share = 2: must be above 0 and at most 1"},
        {"scheduling.chat.kv={\"memory_share\": 0.5, \"tokens\": 1000}",
         "kv.memory_share = 0.5: must not stand beside tokens"},
        {"scheduling.chat.kv.memory_share=0.1", "leaves no token: memory_share must be more"},
        {"scheduling.chat.policy={\"like\": \"vllm_like\", \"max_prompts\": -1}",
         "policy.max_prompts = -1: must be"},
        {"scheduling.chat.kv.store_bandwidth=1 MB/s",
         "kv.store_bandwidth = \"1 MB/s\": must move a token's 131072 B in at most 0.1 s"},
        {"scheduling.chat.kv.write=through", "is of lower tiers, of which there are none"},
        {"scheduling.chat.startup={\"convert\": \"on_load\"}",
         "startup.convert = \"on_load\": must be none: the model is not stored in FP8"},
        {"scheduling.chat.startup={\"write_bandwidth\": \"1 GB/s\"}",
         "startup.write_bandwidth = \"1 GB/s\": is of offline conversion"},
        {"scheduling.chat.startup={\"storage_bandwidth\": \"0 GB/s\"}",
         "startup.storage_bandwidth = \"0 GB/s\": must be above zero"},
        {"scheduling.chat.startup={\"warm_up\": \"1e9 s\"}", "must be at most 9e6 s"},
        {"scheduling.caht.policy=vllm_like", "scheduling.caht"},
        {"handoff.mode=whole", "handoff"},
        {"slo.ttft=2", "slo.ttft = 2: must be"},
        {"failures={\"at\": [{\"pool\": \"x\", \"engine\": 0, \"time\": \"1 s\"}]}",
         "must name one of the pools"},
        {"cluster.profile=h100_9", "cluster.profile = \"h100_9\": is not a profile"},
        {"deployment.precision=fp4", "deployment.precision = \"fp4\": must be"},
    };
    for (const auto& [set, message] : cases) EXPECT_THAT(complaint({set}), HasSubstr(message));
}

// A deployment that autoscales may not outgrow the cluster.
TEST(ServingScenarios, PoolsFitTheCluster) {
    EXPECT_THAT(complaint({"scheduling.chat.autoscale={\"max\": 9}"}),
                HasSubstr("pools take up to 9 GPUs, must take at most the cluster's 8"));
}

// What the deployment does not say is the policy's: on an A100 vLLM takes 2,048 tokens and 256
// sequences, pages of 16; LMDeploy 8,192, 256 and 64. What it says counts.
TEST(ServingScenarios, BudgetsOfThePolicy) {
    const auto used = [](std::vector<std::string> sets) {
        sets.push_back("workload.requests=20");
        return ConfigNode::parse(run(kChat, sets).used, "used").at("scheduling").at("chat");
    };
    const std::string pool = "deployment.pools=[{\"name\": \"chat\"}]";
    const auto expect = [](const ConfigNode& chat, std::int64_t chunk, std::int64_t sequences,
                           std::int64_t page) {
        EXPECT_EQ(chat.at("policy").at("chunk_tokens").as_integer(), chunk);
        EXPECT_EQ(chat.at("policy").at("max_sequences").as_integer(), sequences);
        EXPECT_EQ(chat.at("kv").at("page_tokens").as_integer(), page);
    };
    expect(used({}), 4096, 128, 16);
    expect(used({pool, "scheduling={}"}), 2048, 256, 16);
    expect(used({pool, "scheduling.chat={\"policy\": \"lmdeploy_like\"}"}), 8192, 256, 64);
    const auto tokens = [&](const char* share) {
        return used({std::string("scheduling.chat.kv.memory_share=") + share})
            .at("kv")
            .at("tokens")
            .as_integer();
    };
    // 0.1 of 80 GB at 131,072 B a token of Llama-3-8B.
    EXPECT_NEAR(tokens("0.9") - tokens("0.8"), 8e9 / 131'072, 2);
}

// DeepSeek-V3 is stored in FP8: converting it is for engines that compute in BF16, whose KV cache
// has the rest of the memory. On 8 nodes of H800 a GPU holds 1/64 of the experts.
TEST(ServingScenarios, ConversionToBf16) {
    const auto load = [](std::vector<std::string> sets) {
        sets.insert(sets.end(), {"workload.requests=20", "cluster.nodes=8"});
        return run("scenarios/serving/deepseek_v3_h800_tp16.json", sets);
    };
    const std::string pool =
        "deployment.pools=[{\"name\": \"engine\", \"tp\": 16, \"dp\": 4, \"ep\": 64}]";
    const std::string startup =
        "scheduling.engine.startup={\"storage_bandwidth\": \"10 GB/s\", \"convert\": \"on_load\"}";
    EXPECT_THAT(
        [&] {
            load({pool, startup});
        },
        testing::ThrowsMessage<InputError>(
            HasSubstr("FP8 is converted for engines of precision bf16, this one's is")));
    const RunResult fp8 = load({pool});
    const RunResult bf16 = load({pool, startup, "deployment.precision=bf16"});
    EXPECT_LT(value(bf16, "kv_capacity_tokens"), value(fp8, "kv_capacity_tokens"));
    const auto& rows = bf16.breakdown.front().rows;
    const auto start = [](const auto& row) {
        return std::get<std::string>(row.front()) == "start-up of engine";
    };
    EXPECT_EQ(std::count_if(rows.begin(), rows.end(), start), 1);
}

// Objectives count: with one that nothing meets goodput is 0.
TEST(ServingScenarios, ObjectivesDecideGoodput) {
    const RunResult easy = run(kChat, {"workload.requests=200", "slo={\"ttft\": \"1 h\"}"});
    EXPECT_EQ(value(easy, "good_share"), 1);
    const RunResult hard = run(kChat, {"workload.requests=200", "slo={\"ttft\": \"1 us\"}"});
    EXPECT_EQ(value(hard, "goodput"), 0);
    const RunResult none = run(kChat, {"workload.requests=200", "slo=null"});
    EXPECT_EQ(none.find("goodput"), nullptr);
}

// Twice the load on the same GPU: more tokens a second, and longer waits.
TEST(ServingScenarios, LoadCostsLatency) {
    const RunResult one = run(kChat, {"workload.requests=1000", "workload.rate_scale=0.5"});
    const RunResult two = run(kChat, {"workload.requests=1000"});
    EXPECT_GT(value(two, "output_throughput_per_gpu"),
              1.5 * value(one, "output_throughput_per_gpu"));
    EXPECT_GT(value(two, "tpot_mean"), value(one, "tpot_mean"));
    EXPECT_LT(value(two, "cost_per_million_output_tokens"),
              value(one, "cost_per_million_output_tokens"));
}

}  // namespace
}  // namespace orrery
