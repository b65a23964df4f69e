// Laws of routing and expert placement on random shapes: tokens are conserved, the node limit
// holds, no expert is left without a replica, EPLB does not make things worse than its own start.

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "model/eplb.hpp"
#include "model/routing.hpp"

namespace orrery {
namespace {

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : seed_(seed) {}
    std::int32_t operator()(std::int32_t from, std::int32_t to) {
        const double u = counter_uniform(seed_, 77, draw_++);
        return from + static_cast<std::int32_t>(u * (to - from + 1));
    }
    double real() { return counter_uniform(seed_, 77, draw_++); }

  private:
    std::uint64_t seed_, draw_ = 0;
};

std::int64_t sum(const std::vector<std::int32_t>& values) {
    return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

TEST(ExpertRouting, TokensAreConservedAndNodesLimited) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        Dice dice(seed);
        RoutingSpec spec;
        spec.kind = seed % 4 == 0 ? RoutingKind::balanced : RoutingKind::drawn;
        const std::int32_t nodes = 1 << dice(0, 3), per_node = 1 << dice(0, 3);
        const std::int32_t ranks = nodes * per_node;
        // A group a node, so that the gate's limit is one of nodes.
        spec.gate.experts = ranks * dice(1, 4);
        spec.gate.groups = nodes;
        spec.gate.top_k_groups = dice(1, nodes);
        spec.gate.top_k = dice(1, std::min(8, spec.gate.top_k_groups * spec.gate.group_size()));
        spec.affinity = {dice.real(), dice.real(), seed};
        const std::int64_t tokens = dice(1, 200);
        const ExpertTraffic t = route(spec, {ranks, per_node, tokens, {}}, dice(0, 60), dice(0, 9));
        const std::int64_t copies = tokens * ranks * spec.gate.top_k;
        EXPECT_EQ(sum(t.selections), copies) << seed;
        EXPECT_EQ(std::accumulate(t.slot_rows.begin(), t.slot_rows.end(), std::int64_t{0}), copies);
        for (std::int32_t source = 0; source < ranks; ++source) {
            std::int64_t selected = 0;
            for (std::int32_t node = 0; node < nodes; ++node) {
                std::int64_t reached = 0, most = 0;
                for (std::int32_t d = node * per_node; d < (node + 1) * per_node; ++d) {
                    EXPECT_LE(t.to_rank(source, d), t.selected(source, d));
                    EXPECT_LE(t.to_rank(source, d), tokens);
                    selected += t.selected(source, d);
                    reached += t.to_rank(source, d);
                    most = std::max<std::int64_t>(most, t.to_rank(source, d));
                }
                EXPECT_LE(t.to_node(source, node), reached);
                EXPECT_GE(t.to_node(source, node), most);
            }
            EXPECT_EQ(selected, tokens * spec.gate.top_k);
        }
        EXPECT_LE(t.mean_nodes(), spec.gate.top_k_groups);
        EXPECT_GE(t.imbalance(), 1 - 1e-12);
    }
}

TEST(Placement, EveryExpertKeepsAReplicaAndReplicasEvenTheLoad) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Dice dice(seed);
        EplbShape shape;
        shape.nodes = 1 << dice(0, 2);
        shape.gpus = shape.nodes * (1 << dice(0, 2));
        shape.groups = seed % 3 == 0 ? 3 : shape.nodes * dice(1, 2);  // 3: global where nodes > 1
        const std::int32_t experts = shape.groups * shape.gpus * dice(1, 3);
        shape.replicas = experts + shape.gpus * dice(0, 3);
        std::vector<double> loads;
        for (std::int32_t e = 0; e < experts; ++e) loads.push_back(std::exp(3 * dice.real()));
        const ExpertPlacement p = rebalance_experts(loads, shape);
        ASSERT_EQ(p.slots(), shape.replicas);
        for (const auto& replicas : p.replicas) EXPECT_GE(replicas.size(), 1U);
        const auto after = rank_loads(p, loads);
        EXPECT_NEAR(std::accumulate(after.begin(), after.end(), 0.0),
                    std::accumulate(loads.begin(), loads.end(), 0.0), 1e-6);
        if (!shape.hierarchical() || shape.nodes == 1) continue;
        // Hierarchical: the replicas of an expert share a node.
        const std::int32_t per_node = shape.gpus / shape.nodes;
        for (const auto& replicas : p.replicas) {
            for (const std::int32_t slot : replicas) {
                EXPECT_EQ(p.rank_of(slot) / per_node, p.rank_of(replicas[0]) / per_node);
            }
        }
    }
}

// 256 experts of log-normal load on 32 GPUs with 32 redundant ones (DeepSeek's prefill unit).
TEST(Placement, EplbImprovesSkewedLoads) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        std::vector<double> loads;
        for (std::uint64_t e = 0; e < 256; ++e)
            loads.push_back(std::exp(counter_normal(seed, 1, e)));
        const double before = largest_over_mean(rank_loads(contiguous_placement(256, 32), loads));
        const auto placement =
            rebalance_experts(loads, {.replicas = 288, .groups = 8, .nodes = 4, .gpus = 32});
        EXPECT_LT(largest_over_mean(rank_loads(placement, loads)), before);
        const auto cost = rebalance_cost(placement, placement, 8);
        EXPECT_EQ(cost.moved, 0);
    }
}

}  // namespace
}  // namespace orrery
