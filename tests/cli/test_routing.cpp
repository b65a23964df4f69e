// orrery routing as a user runs it.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config.hpp"
#include "process.hpp"

namespace orrery {
namespace {

ConfigNode routing(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "routing");
    return json_of(arguments);
}

void expect_routing_refused(std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), "routing");
    expect_refused(arguments, message);
}

}  // namespace

// 64 x 1024 tokens x 8 / 64 rows a GPU; pairs of source 0 sum to its tokens x 8.
TEST(RoutingCommand, CountsTokens) {
    const ConfigNode even = routing({"--balanced", "--tokens", "1024", "--matrices"});
    EXPECT_EQ(even.at("nodes_per_token").as_number(), 4);
    for (const ConfigNode& rows : even.at("gpu_rows").elements()) EXPECT_EQ(rows.as_number(), 8192);
    double sent = 0;
    for (const ConfigNode& n : even.at("gpu_selections").at(std::size_t{0}).elements()) {
        sent += n.as_number();
    }
    EXPECT_EQ(sent, 1024 * 8);
    EXPECT_EQ(even.at("node_pairs").size(), 64U);
}

TEST(RoutingCommand, SkewBiasAndEplb) {
    const std::vector<std::string> skewed = {"--ep", "32", "--tokens", "256", "--skew", "0.5"};
    auto balanced = skewed;
    balanced.insert(balanced.end(), {"--eplb", "288"});
    const ConfigNode eplb = routing(balanced).at("eplb");
    EXPECT_LT(eplb.at("gpu_imbalance_after").as_number(),
              eplb.at("gpu_imbalance_before").as_number());
    EXPECT_EQ(eplb.at("policy").as_string(), "hierarchical");
    EXPECT_GT(eplb.at("rebalancing").at("time").as_number(), 0);
    auto learnt = skewed;
    learnt.insert(learnt.end(), {"--bias-steps", "60", "--gamma", "0.004"});
    EXPECT_LT(routing(learnt).at("imbalance").at("experts").as_number(),
              routing(skewed).at("imbalance").at("experts").as_number());
}

TEST(RoutingCommand, ReadsModelsAndLoads) {
    const ConfigNode qwen =
        routing({"--model", "scenarios/models/qwen3_30b_a3b.json", "--ep", "8", "--tokens", "64"});
    EXPECT_EQ(qwen.at("gate").at("experts").as_integer(), 128);
    const std::string file = testing::TempDir() + "routing_loads.csv";
    std::ofstream(file) << "4,3,2,1,1,1\n1,1,1,1,1,1\n";
    const ConfigNode given =
        routing({"--experts", "6", "--top-k", "2", "--groups", "1", "--top-groups", "1", "--ep",
                 "2", "--tokens", "20000", "--loads", file});
    EXPECT_EQ(given.at("origin").as_string(), "given");
    // 40000 x 2 x 4 / 12.
    EXPECT_NEAR(given.at("expert_tokens").at(std::size_t{0}).as_number(), 26667, 800);
    std::remove(file.c_str());
}

TEST(RoutingCommand, RefusesWhatCannotBe) {
    expect_routing_refused({"--groups", "7"}, "groups must divide the experts");
    expect_routing_refused({"--ep", "48"}, "--ep 48: must divide the 256 experts");
    expect_routing_refused({"--ep", "12", "--experts", "12", "--groups", "1", "--top-groups", "1"},
                           "--ep 12: must be a multiple of --ranks-per-node 8");
    expect_routing_refused({"--balanced", "--skew", "1"}, "--balanced");
    expect_routing_refused({"--model", "scenarios/models/llama3_8b.json"},
                           "has no layer with experts");
    expect_routing_refused({"--model", "scenarios/models/deepseek_v3.json", "--top-k", "4"},
                           "--model");
    expect_routing_refused({"--eplb", "300"}, "--eplb 300: must be at least the 256 experts");
    expect_routing_refused({"--loads", "nowhere.csv"}, "nowhere.csv");
}

}  // namespace orrery
