#include "study/serving_claims.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "study/serve_answer.hpp"

namespace orrery {
namespace {

const ClaimRequest kRequest{"scenarios/validation/serving", "hw_profiles"};

std::string text(const Cell& cell) { return std::get<std::string>(cell); }
double number(const Cell& cell) { return std::get<double>(cell); }

const std::vector<Cell>& row(const ClaimAnswer& answer, const std::string& name) {
    const auto& rows = answer.table.rows;
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const auto& r) { return text(r[0]).starts_with(name); });
    if (found == rows.end()) throw std::runtime_error(name);
    return *found;
}

// 2 x (1 + 2) B x 32 tokens x 9 targets x 7000 features / 50 GB/s = 241.92 us; 61 layers.
TEST(ServingClaims, TheNetworksBoundIsTheArithmetic) {
    const ClaimAnswer answer = claim_tpot_bound(kRequest);
    EXPECT_NEAR(number(row(answer, "as published")[1]), 241.92e-6, 1e-12);
    EXPECT_NEAR(number(row(answer, "as published")[2]), 14.757e-3, 1e-6);
}

// 226.75 nodes x 8 x 24 h x $2.
TEST(ServingClaims, TheDaysMoney) {
    const ClaimAnswer answer = claim_day(kRequest);
    EXPECT_EQ(text(row(answer, "cost of those 226.75 nodes")[2]), "$87,072");
    EXPECT_EQ(text(row(answer, "nodes")[1]), "226.75");
}

// 8 x 65,536 x 70,272 B beside 673.2 GB of weights.
TEST(ServingClaims, SixtyFourThousandTokensEightTimes) {
    const ClaimAnswer answer = claim_memory(kRequest);
    EXPECT_DOUBLE_EQ(number(row(answer, "KV cache")[1]), 8 * 65536 * 70272.0);
    EXPECT_NEAR(number(row(answer, "weights")[1]), 673.2e9, 0.1e9);
}

TEST(ServingClaims, AreFoundByName) {
    EXPECT_STREQ(find_claim("eplb").name, "eplb");
    EXPECT_THROW(find_claim("speed"), InputError);
}

// 673 GB of FP8 weights on 640 GB a node: two nodes; 349 GB in four bits: one; 1,342 GB: three.
TEST(Serve, FewestNodesOfDeepSeekV3) {
    const ServeAnswer answer =
        answer_serve("scenarios/models/deepseek_v3.json", "h800_ib_2048", "hw_profiles", 131072);
    EXPECT_EQ(answer.kv_bf16, 70272);
    EXPECT_EQ(answer.kv_fp8, 35136);
    ASSERT_EQ(answer.rows.size(), 4u);
    const std::vector<std::int64_t> nodes = {3, 2, 2, 1};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        EXPECT_EQ(answer.rows[i].nodes, nodes[i]) << answer.rows[i].precision;
        EXPECT_GE(answer.rows[i].tokens_bf16, 131072);
        EXPECT_NEAR(static_cast<double>(answer.rows[i].tokens_fp8),
                    2.0 * static_cast<double>(answer.rows[i].tokens_bf16), 2);
    }
    EXPECT_THROW(
        answer_serve("scenarios/models/deepseek_v3.json", "h800_ib_2048", "hw_profiles", 0),
        InputError);
}

// A longer sequence needs at least as many nodes.
TEST(Serve, NodesGrowWithContext) {
    std::int64_t last = 0;
    for (const std::int64_t context : {1 << 10, 1 << 17, 1 << 20, 1 << 22}) {
        const ServeAnswer answer =
            answer_serve("scenarios/models/llama3_1_405b.json", "h100_ib", "hw_profiles", context);
        EXPECT_GE(answer.rows[0].nodes, last);
        last = answer.rows[0].nodes;
    }
    EXPECT_GT(last, 2);
}

}  // namespace
}  // namespace orrery
