// The gate against a slow twin, closed forms of uniform routing, balance, skew, bias and loads.

#include "model/routing.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/random.hpp"
#include "model/read_loads.hpp"
#include "model/routing_bias.hpp"

namespace orrery {
namespace {

const GateSpec kV3{256, 8, 8, 4, GroupScore::two_largest};

// As the definition reads: all groups scored, sorted, the rest masked, all experts sorted.
std::vector<std::int32_t> slow_choice(const GateSpec& g, const std::vector<float>& scores) {
    const auto by_score = [](const std::vector<float>& s) {
        std::vector<std::int32_t> order(s.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
            return s[static_cast<std::size_t>(a)] > s[static_cast<std::size_t>(b)];
        });
        return order;
    };
    std::vector<float> group_scores;
    for (std::int32_t group = 0; group < g.groups; ++group) {
        const auto begin = scores.begin() + group * g.group_size();
        std::vector<float> own(begin, begin + g.group_size());
        std::sort(own.begin(), own.end(), std::greater<>());
        const bool two = g.group_score == GroupScore::two_largest && own.size() > 1;
        group_scores.push_back(two ? own[0] + own[1] : own[0]);
    }
    auto groups = by_score(group_scores);
    groups.resize(static_cast<std::size_t>(g.top_k_groups));
    std::vector<std::int32_t> chosen;
    for (const std::int32_t e : by_score(scores)) {
        if (std::find(groups.begin(), groups.end(), e / g.group_size()) == groups.end()) continue;
        chosen.push_back(e);
        if (static_cast<std::int32_t>(chosen.size()) == g.top_k) break;
    }
    return chosen;
}

void agrees_with_slow_twin(const GateSpec& spec, int levels) {
    Gate gate(spec);
    const auto experts = static_cast<std::size_t>(spec.experts);
    std::vector<float> scores(experts * kGateBlock);
    std::vector<std::int32_t> chosen(static_cast<std::size_t>(spec.top_k * kGateBlock));
    for (std::uint64_t trial = 0; trial < 40; ++trial) {
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const double u = counter_uniform(7, trial, i);
            scores[i] = static_cast<float>(levels > 0 ? std::floor(u * levels) / levels : u);
        }
        gate.choose(scores.data(), chosen.data());
        for (std::size_t t = 0; t < kGateBlock; ++t) {
            std::vector<float> own;
            for (std::size_t e = 0; e < experts; ++e) own.push_back(scores[e * kGateBlock + t]);
            const auto begin = chosen.begin() + static_cast<std::ptrdiff_t>(t) * spec.top_k;
            EXPECT_EQ(std::vector<std::int32_t>(begin, begin + spec.top_k), slow_choice(spec, own))
                << spec.experts << " experts, " << spec.groups << " groups, token " << t;
        }
    }
}

TEST(Gate, AgreesWithItsDefinition) {
    for (const int levels : {0, 20}) {  // 20: many ties
        agrees_with_slow_twin(kV3, levels);
        agrees_with_slow_twin({160, 6, 8, 3, GroupScore::largest}, levels);  // DeepSeek-V2
        agrees_with_slow_twin({128, 8, 1, 1, GroupScore::largest}, levels);  // Qwen3
        agrees_with_slow_twin({8, 2, 1, 1, GroupScore::largest}, levels);    // Mixtral
        agrees_with_slow_twin({12, 6, 3, 2, GroupScore::two_largest}, levels);
        agrees_with_slow_twin({6, 3, 6, 3, GroupScore::two_largest}, levels);
        agrees_with_slow_twin({7, 7, 1, 1, GroupScore::largest}, levels);
    }
}

TEST(Gate, RefusesWhatCannotBe) {
    EXPECT_THROW(Gate({256, 8, 7, 4}), InputError);
    EXPECT_THROW(Gate({256, 8, 8, 9}), InputError);
    EXPECT_THROW(Gate({256, 33, 8, 1}), InputError);
    EXPECT_THROW(Gate({256, 0, 8, 4}), InputError);
}

// Two groups of two, top 2 in the best group by its largest: of the first two experts in falling
// order of score the second lies in the first one's group with probability 1/3, but only that group
// is admitted: always 1 node. With both groups admitted: 1/3 * 1 + 2/3 * 2 = 5/3.
TEST(Routing, ExpectedNodesOfBestGroupsByHand) {
    EXPECT_DOUBLE_EQ(expected_nodes_of_best_groups({4, 2, 2, 1, GroupScore::largest}), 1);
    EXPECT_DOUBLE_EQ(expected_nodes_of_best_groups({4, 2, 2, 2, GroupScore::largest}), 5.0 / 3);
}

// 64 ranks of 4,096 tokens: standard error of the mean nodes below 0.0005. Largest-score groups
// have the closed form; without limit the 8 experts miss a node with probability prod (224 - i) /
// (256 - i) = 0.3381 (as 8 x (1 - 0.3381) = 5.295).
TEST(Routing, NodesOfDrawnTokensMatchClosedForms) {
    GateSpec largest = kV3;
    largest.group_score = GroupScore::largest;
    const RoutingGroup group{16, 2, 4096, {}};
    EXPECT_NEAR(route({.gate = largest}, group, 0, 0).mean_nodes(),
                expected_nodes_of_best_groups(largest), 0.003);
    double missed = 1;
    for (int i = 0; i < 8; ++i) missed *= (224.0 - i) / (256.0 - i);
    const GateSpec free{256, 8, 1, 1, GroupScore::largest};
    EXPECT_NEAR(route({.gate = free}, group, 0, 0).mean_nodes(), 8 * (1 - missed), 0.02);
    const GateSpec all{256, 8, 8, 8, GroupScore::largest};
    EXPECT_NEAR(expected_nodes_of_best_groups(all), 8 * (1 - missed), 1e-12);
}

// 4 of 8 nodes, 8 different ranks of each token, every slot the same rows: 64 x 4096 x 8 / 256.
TEST(Routing, BalancedIsEven) {
    const RoutingSpec spec{.kind = RoutingKind::balanced, .gate = kV3};
    const ExpertTraffic traffic = route(spec, {64, 8, 4096, {}}, 0, 0);
    EXPECT_EQ(traffic.slot_rows, std::vector<std::int64_t>(256, 64 * 4096 * 8 / 256));
    EXPECT_EQ(traffic.imbalance(), 1);
    EXPECT_EQ(traffic.mean_nodes(), 4);
    EXPECT_EQ(traffic.mean_ranks(), 8);
}

// Without skew a rank's rows are binomial: 64 x 4096 x 8 / 64 = 32768 on average, standard
// deviation below sqrt(32768) = 181; five of them: 2.8 %.
TEST(Routing, SkewWidensTheSpread) {
    RoutingSpec spec{.gate = kV3};
    const RoutingGroup group{64, 8, 4096, {}};
    const double even = route(spec, group, 0, 0).imbalance();
    EXPECT_LT(even, 1.028);
    EXPECT_GT(even, 1.003);
    spec.affinity.skew = 0.3;
    EXPECT_GT(route(spec, group, 0, 0).imbalance(), 1.15);
}

TEST(Routing, DrawsDependOnSeedLayerAndMicroBatchOnly) {
    RoutingSpec spec{.gate = kV3, .affinity = {.skew = 0.5}};
    const RoutingGroup group{8, 8, 64, {}};
    const auto rows = [&](std::int64_t layer, std::int64_t micro_batch) {
        return route(spec, group, layer, micro_batch).slot_rows;
    };
    const auto reference = rows(3, 5);
    EXPECT_EQ(reference, rows(3, 5));
    EXPECT_NE(reference, rows(4, 5));
    EXPECT_NE(reference, rows(3, 6));
    spec.affinity.seed = 2;
    EXPECT_NE(reference, rows(3, 5));
}

// The number behind the affinity of token 2 i + h and expert e is half h of the counter hash of
// draw i experts + e: with weight 1 the score is that uniform number.
TEST(Routing, AffinitiesAreUniformWithoutSkew) {
    const Affinities affinities({}, 4);
    const RoutingDraw draw{1, 2, 3};
    const auto odds = affinities.odds(draw);
    EXPECT_EQ(odds, std::vector<float>(4, 1.0F));
    std::vector<float> scores(4 * kGateBlock);
    double sum = 0, squares = 0;
    for (std::int64_t block = 0; block < 2000; ++block) {
        affinities.fill(draw, odds, std::vector<float>(4, 0.0F), block * kGateBlock, scores.data());
        for (const float s : scores) {
            ASSERT_GT(s, 0);
            ASSERT_LT(s, 1);
            sum += s;
            squares += s * s;
        }
    }
    const double n = 2000 * 4 * kGateBlock;  // standard error of the mean 0.0008
    EXPECT_NEAR(sum / n, 0.5, 0.004);
    EXPECT_NEAR(squares / n, 1.0 / 3, 0.004);
}

// Expert 0 on two ranks: its tokens take turns; expert 1 on rank 1 alone.
TEST(Routing, ReplicasTakeTurns) {
    const RoutingSpec spec{.gate = {2, 2, 1, 1, GroupScore::largest}};
    const RoutingGroup group{2, 1, 100, make_placement(2, 2, {0, 0, 0, 1})};
    const ExpertTraffic traffic = route(spec, group, 0, 0);
    // Slots 0, 1, 2 hold expert 0: token + source mod 3; 200 tokens in all.
    EXPECT_EQ(traffic.slot_rows, (std::vector<std::int64_t>{67, 67, 66, 200}));
    EXPECT_EQ(std::accumulate(traffic.selections.begin(), traffic.selections.end(), 0), 400);
}

// Loads 3, 1, 2, 2 (mean 2): the first falls by gamma, the second rises, the others stay.
TEST(Bias, MovesAgainstTheLoadError) {
    std::vector<double> bias{0.5, 0, 0, -1};
    update_bias(bias, {3, 1, 2, 2}, 0.001);
    EXPECT_EQ(bias, (std::vector<double>{0.499, 0.001, 0, -1}));
}

// Popularity of standard deviation 0.5 in log-odds starts with the busiest of 32 experts at twice
// the mean. After 300 updates what is left is the spread of 32 binomials of 512 (standard error 4
// %) and of a bias that goes on moving by gamma; other tokens show the bias itself: within 6 %.
TEST(Bias, BalancesASkewedGate) {
    const RoutingSpec spec{.gate = {32, 4, 4, 2, GroupScore::two_largest},
                           .affinity = {.skew = 0.5}};
    const BiasRun run = run_bias(spec, 0, 300, 1, 4096, 0.001);
    EXPECT_GT(run.imbalance.front(), 1.7);
    EXPECT_LT(run.imbalance.back(), 1.2);
    RoutingSpec learnt = spec;
    learnt.bias = run.bias;
    EXPECT_GT(largest_over_mean(draw_loads(spec, {0, 9999, 0}, 200000)), 1.7);
    EXPECT_LT(largest_over_mean(draw_loads(learnt, {0, 9999, 0}, 200000)), 1.06);
}

// Drawn from the fitted weights, expert loads come back within 7 %: 200,000 tokens give each expert
// at least 2,000, a standard error of 2 %, the largest of 256 about 6 %.
TEST(Loads, WeightsReproduceThem) {
    RoutingSpec spec{.gate = kV3};
    std::vector<double> loads;
    for (int e = 0; e < 256; ++e) loads.push_back(1 + 0.7 * (e % 7));
    loads[5] = 0;
    spec.weights = weights_for_loads(spec, loads);
    const auto drawn = draw_loads(spec, {1, 1, 1}, 200000);
    const double scale = std::accumulate(loads.begin(), loads.end(), 0.0) / (8 * 200000.0);
    EXPECT_EQ(drawn[5], 0);
    for (std::size_t e = 0; e < loads.size(); ++e) {
        if (loads[e] == 0) continue;
        EXPECT_NEAR(drawn[e] * scale / loads[e], 1, 0.09) << e;
    }
}

TEST(Loads, RefusesWhatNoRoutingGives) {
    const RoutingSpec spec{.gate = {4, 2, 1, 1, GroupScore::largest}};
    EXPECT_THROW(weights_for_loads(spec, {1, 1, 1}), InputError);
    EXPECT_THROW(weights_for_loads(spec, {1, -1, 1, 1}), InputError);
    EXPECT_THROW(weights_for_loads(spec, {1, 0, 0, 0}), InputError);
    EXPECT_THROW(weights_for_loads(spec, {4, 1, 1, 1}), InputError);  // 57 % > 50 %
}

TEST(Loads, FilesOfBothKinds) {
    const std::string base = testing::TempDir() + "expert_loads_" + std::to_string(::getpid());
    const auto written = [&](const char* suffix, const char* text) {
        std::ofstream(base + suffix) << text;
        return base + suffix;
    };
    const std::vector<std::vector<double>> two{{1, 2, 3}, {4, 5, 6}};
    EXPECT_EQ(read_expert_loads(written(".csv", "a,b,c\n1, 2,3\n\n4,5,6\n")), two);
    EXPECT_EQ(read_expert_loads(written(".json", "[[1,2,3],[4,5,6]]")), two);
    EXPECT_EQ(read_expert_loads(written(".json", R"({"loads": [1,2,3]})"))[0], two[0]);
    EXPECT_THROW(read_expert_loads(written(".csv", "1,2\n3\n")), InputError);
    EXPECT_THROW(read_expert_loads(written(".csv", "1,2\n3,x\n")), InputError);
    EXPECT_THROW(read_expert_loads(written(".csv", "1,-2\n")), InputError);
    EXPECT_THROW(read_expert_loads(written(".json", "[]")), InputError);
    std::remove((base + ".csv").c_str());
    std::remove((base + ".json").c_str());
}

}  // namespace
}  // namespace orrery
