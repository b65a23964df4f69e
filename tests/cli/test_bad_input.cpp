// Bad input: one line on stderr that names file, key, value and rule; exit code 2; nothing printed,
// nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

namespace fs = std::filesystem;

const std::string kLlama = "scenarios/training/llama3_8b_h100_8.json";
const std::string kDeepSeek = "scenarios/training/deepseek_v3_h800_2048.json";

// Runs the program with --out and --trace below a fresh directory and expects `line` on stderr.
void expect_bad(const std::vector<std::string>& arguments, const std::string& line) {
    const TemporaryDir dir;
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--out", dir / "out"});
    if (arguments.front() == "run") all.insert(all.end(), {"--trace", dir / "trace.json"});
    const ProcessResult result = run_orrery(all);
    EXPECT_EQ(result.exit_code, 2) << result.error;
    EXPECT_EQ(result.error, "error: " + line + "\n");
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(dir.names(), testing::IsEmpty());
}

// A wrong --set is named as what it is, not as the scenario's file.
void expect_bad_setting(const std::string& scenario, const std::string& setting,
                        const std::string& rest) {
    expect_bad({"run", scenario, "--set", setting}, "--set " + rest);
}

}  // namespace

TEST(BadInput, MissingFile) {
    expect_bad({"run", "none.json"}, "none.json: cannot be opened for reading");
    expect_bad({"compare", "none.json", "--over", "plan.tp=1,2"},
               "none.json: cannot be opened for reading");
    expect_bad({"run", "scenarios"}, "scenarios: is a directory, must be a JSON file");
}

TEST(BadInput, MalformedJson) {
    const TemporaryDir dir;
    const std::string file = dir.put("bad.json", "{\n  \"name\": \"x\",\n  \"kind\": }\n");
    const ProcessResult result = run_orrery({"run", file});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, StartsWith("error: " + file + ":3:11: is not valid JSON"));
}

TEST(BadInput, UnknownKey) {
    expect_bad_setting(kLlama, "plan.shedule=1f1b",
                       "plan.shedule = \"1f1b\": is not a known key; did you mean schedule?");
}

TEST(BadInput, WrongUnit) {
    expect_bad_setting(kLlama, "cluster.nic_bandwidth=50 GB",
                       "cluster.nic_bandwidth = \"50 GB\": must be a data rate such as \"50 GB/s\" "
                       "or \"400 Gb/s\"");
    expect_bad_setting(
        kLlama, "cluster.price_per_gpu_hour=2 EUR",
        "cluster.price_per_gpu_hour = \"2 EUR\": must be a price such as \"2 USD/h\"");
}

TEST(BadInput, PlanThatDoesNotDivide) {
    expect_bad_setting(kLlama, "plan.tp=3", "plan.tp = 3: must divide the attention heads, 32");
    expect_bad_setting(kDeepSeek, "plan.ep=96",
                       "plan.ep = 96: must divide the number of experts, 256");
    expect_bad_setting(kDeepSeek, "plan.pp=64",
                       "plan.pp = 64: gives 64 stages, must give at most the model's 61 layers");
    expect_bad_setting(kDeepSeek, "train.sequences=15361",
                       "train.sequences = 15361: must divide by plan.dp x plan.micro_batch_size = "
                       "128 x 1 = 128");
}

TEST(BadInput, UnknownArchitecture) {
    const TemporaryDir dir;
    const std::string model =
        dir.put("model.json", R"({"architectures": ["NobodysForCausalLM"], "hidden_size": 8})");
    const ProcessResult result = run_orrery({"run", kLlama, "--set", "model=" + model});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, StartsWith("error: " + model + ": architectures"));
    EXPECT_THAT(result.error, HasSubstr("NobodysForCausalLM"));
    EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1);
}

TEST(BadInput, AbsurdSizes) {
    expect_bad_setting(kDeepSeek, "cluster.nodes=200000",
                       "cluster.nodes = 200000: gives 1600000 GPUs, must give at most 1000000");
    expect_bad_setting(kLlama, "train.sequences=8000000",
                       "train.sequences = 8000000: gives 2000000 micro-batches, must give at most "
                       "1000000");
    expect_bad_setting(kLlama, "plan.dp=10000000", "plan.dp = 10000000: must be <= 1000000");
}

TEST(BadInput, SettingsAndOptions) {
    expect_bad({"run", kLlama, "--set", "plan.tp"}, "--set plan.tp: must be key=value");
    expect_bad({"compare", kLlama, "--over", "plan.tp"},
               "--over plan.tp: must be key=value,value,...");
    expect_bad({"run", kLlama, "--trace-ranks", "8"}, "--trace-ranks 8: must be from 0 to 7");
    expect_bad({"run", kLlama, "--nope"}, "The following argument was not expected: --nope");
    expect_bad({"validate", "no such case"},
               std::filesystem::current_path().string() +
                   "/scenarios/validation: no case matches \"no such case\"");
    const ProcessResult unknown = run_orrery({"rum", kLlama});
    EXPECT_EQ(unknown.exit_code, 2);
    EXPECT_THAT(unknown.error, StartsWith("error: rum: is not a command; known: run, compare"));
    EXPECT_EQ(run_orrery({"run", kLlama, "--format", "xml"}).exit_code, 2);
    EXPECT_EQ(run_orrery({"run", kLlama, "--trace-all"}).exit_code, 2);
}

TEST(BadInput, OutThatIsAFile) {
    const TemporaryDir dir;
    const std::string file = dir.put("file", "kept");
    const ProcessResult result = run_orrery({"run", kLlama, "--out", file});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.error, "error: --out " + file + ": is a file, must be a directory\n");
    EXPECT_EQ(read_text(file), "kept");
}

// A name that does not exist is a mistake, wherever it stands among the values; a plan that does
// not divide is an answer.
TEST(BadInput, ComparisonWithAMistake) {
    const ProcessResult policy =
        run_orrery({"compare", "scenarios/serving/llama3_8b_a100_10k.json", "--over",
                    "scheduling.chat.policy=vllm_like,vlm_like", "--set", "workload.requests=10"});
    EXPECT_EQ(policy.exit_code, 2);
    EXPECT_EQ(policy.out, "");
    EXPECT_THAT(policy.error,
                StartsWith("error: --over scheduling.chat.policy = \"vlm_like\": must be one of "));
    EXPECT_EQ(run_orrery({"compare", kLlama, "--over", "plan.tp=2,nil"}).exit_code, 2);
    EXPECT_EQ(run_orrery({"compare", kLlama, "--over", "plan.tp=2,0"}).exit_code, 2);
    const ProcessResult plans = run_orrery({"compare", kLlama, "--over", "plan.tp=2,3"});
    EXPECT_EQ(plans.exit_code, 0) << plans.error;
    EXPECT_THAT(plans.out, HasSubstr("plan.tp=3 is impossible: --over plan.tp = 3: must divide"));
}

TEST(BadInput, KindsOfACommand) {
    const ProcessResult wrong = run_orrery({"collective", "broadcast", "--bytes", "1 MB"});
    EXPECT_EQ(wrong.exit_code, 2);
    EXPECT_THAT(wrong.error, StartsWith("error: broadcast: is not a kind of collective; known: "
                                        "all_to_all, all_reduce"));
    const ProcessResult none = run_orrery({"operator"});
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_THAT(none.error, StartsWith("error: operator: must be followed by one of: gemm"));
    EXPECT_EQ(run_orrery({"collective", "--help"}).exit_code, 0);
}

// The key that was changed is named, never the profile that it changes or a link made from it.
TEST(BadInput, ClusterNumbers) {
    const std::string chat = "scenarios/serving/llama3_8b_a100_10k.json";
    const std::string iteration = "scenarios/validation/serving/sglang_96h100_decode_2k.json";
    const std::string rate = "must be from 1 MB/s to 1 PB/s";
    for (const std::string& scenario : {kLlama, chat, iteration}) {
        expect_refused({"run", scenario, "--set", "cluster.nodes=0"},
                       "error: --set cluster.nodes = 0: must be >= 1");
        expect_refused({"run", scenario, "--set", "cluster.nic_bandwidth=1 B/s"},
                       "error: --set cluster.nic_bandwidth = \"1 B/s\": " + rate);
        expect_refused({"run", scenario, "--set", "cluster.nvlink_bandwidth=1e30 B/s"},
                       "error: --set cluster.nvlink_bandwidth = \"1e30 B/s\": " + rate);
        expect_refused({"run", scenario, "--set", "cluster.profile=x"},
                       "error: --set cluster.profile = \"x\": is not a profile");
    }
    for (const char* kind : {"all_reduce", "expert_dispatch"}) {
        std::vector<std::string> all = {"collective",   kind,    "--cluster",
                                        "h800_ib_2048", "--set", "cluster.nodes=0"};
        const bool expert = std::string(kind) == "expert_dispatch";
        all.insert(all.end(), {expert ? "--ep" : "--bytes", expert ? "64" : "1 MB"});
        expect_refused(all, "error: --set cluster.nodes = 0: must be >= 1");
    }
    // From the file itself: its name and the key.
    const TemporaryDir dir;
    const std::string file = dir.put(
        "s.json", R"({"base": ")" + fs::absolute(chat).string() + R"(", "cluster": {"nodes": 0}})");
    expect_refused({"run", file, "--profiles", "hw_profiles"},
                   "error: " + file + ": cluster.nodes = 0: must be >= 1");
}

// Every case impossible for the same reason: nothing to compare.
TEST(BadInput, ComparisonOfAnUnknownKey) {
    const ProcessResult result =
        run_orrery({"compare", kLlama, "--over", "plan.shedule=1f1b,gpipe"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, HasSubstr("plan.shedule = \"1f1b\": is not a known key"));
}

}  // namespace orrery
