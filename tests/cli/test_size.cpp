// orrery size as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;

const std::string kChat = "scenarios/serving/llama3_8b_a100_10k.json";
const std::vector<std::string> kFew = {
    "size", kChat, "--set", "workload.requests=1000", "--set", "workload.rate_scale=6"};

std::vector<std::string> few(std::vector<std::string> more) {
    more.insert(more.begin(), kFew.begin(), kFew.end());
    return more;
}

}  // namespace

TEST(SizeCommand, AnswersInItsFirstLines) {
    const ProcessResult result = run_orrery(few({"--slo", "ttft_p99=1.5s"}));
    EXPECT_EQ(result.exit_code, 0) << result.error;
    EXPECT_EQ(result.error, "");
    for (const char* text :
         {" chat engines = ",
          "99 % of the requests within ttft 2.000 s, tpot 100.0 ms, ttft_p99 "
          "1.500 s, and STABLE",
          "Sizes that were replayed", "Why others will not do", "not replayed: prompts"}) {
        EXPECT_THAT(result.out, HasSubstr(text));
    }
}

// What is written: the answer, the sizes as a table, and a scenario that runs to the same answer.
TEST(SizeCommand, WritesFiles) {
    const TemporaryDir dir;
    const ProcessResult result = run_orrery(few({"--out", (dir / "out").string()}));
    EXPECT_EQ(result.exit_code, 0) << result.error;
    const ConfigNode answer = ConfigNode::load(dir / "out/result.json");
    EXPECT_EQ(answer.at("kind").as_string(), "size");
    EXPECT_THAT(read_text(dir / "out/size.csv"), HasSubstr("chat,gpus,nodes,slo,good_share,"));
    const ConfigNode again = json_of({"run", (dir / "out/scenario.json").string()});
    EXPECT_EQ(again.at("fingerprint").as_string(), answer.at("fingerprint").as_string());
}

TEST(SizeCommand, ExitsWithOneWhereNoSizeWillDo) {
    const ProcessResult result = run_orrery(few({"--slo", "tpot=1 ms"}));
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.error, "");
    EXPECT_THAT(result.out, HasSubstr("no size: slo = 1.000 ms (time per output token)"));
}

// Two deployments: the front, the others, and every point in a table.
TEST(SizeCommand, DrawsTheParetoFront) {
    const TemporaryDir dir;
    const ProcessResult result = run_orrery({"size", "scenarios/serving/deepseek_v3_h200_8.json",
                                             "scenarios/serving/deepseek_v3_h800_tp16.json",
                                             "--pareto", "--out", (dir / "out").string()});
    EXPECT_EQ(result.exit_code, 0) << result.error;
    for (const char* text : {"tokens/s a user at", "B         deepseek_v3_h800_tp16: ",
                             "The front: nothing else is better in both", "Dominated"}) {
        EXPECT_THAT(result.out, HasSubstr(text));
    }
    EXPECT_THAT(
        read_text(dir / "out/pareto.csv"),
        HasSubstr("deployment,sequences,user_rate [tokens/s],gpu_rate [tokens/s],step [s],"));
    EXPECT_EQ(ConfigNode::load(dir / "out/result.json").at("kind").as_string(), "pareto");
}

TEST(SizeCommand, RefusesBadInput) {
    expect_refused({"size", kChat, kChat}, "one scenario is sized at a time");
    expect_refused({"size", kChat, "--pareto", "--every"}, "--pareto: goes without --slo");

    expect_refused(few({"--slo", "ttft"}), "--slo ttft: must be KEY=VALUE such as ttft=2s");
    expect_refused(few({"--slo", "colour=2s"}), "slo.colour");
    expect_refused(few({"--slo", "ttft=2kg"}), "slo.ttft = \"2 kg\": must be");
    expect_refused(few({"--nodes", "0"}), "--nodes");
    expect_refused(few({"--pool", "talk=2"}), "--pool talk=2: must be POOL=LEAST..MOST");
    expect_refused(few({"--set", "slo=null"}), "slo: must be given");
    expect_refused({"size", "none.json"}, "none.json");
}

}  // namespace orrery
