#include "study/expert_exchange.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

constexpr std::int64_t kMost = 1'000'000;

template <class T>
void read_count(const ConfigNode& block, const char* key, T& value, std::int64_t least = 1) {
    if (const auto node = block.find(key)) value = static_cast<T>(node->as_integer(least, kMost));
}

void read_skew(const ConfigNode& block, const char* key, double& value) {
    const auto node = block.find(key);
    if (!node) return;
    value = node->as_number();
    if (!(value >= 0 && value <= 10)) node->fail("must be from 0 to 10");
}

// Nodes take the place of the gate's groups, unless all of them may be reached.
GateSpec gate_of(const ExpertExchange& e, std::int32_t nodes) {
    GateSpec gate{e.experts, e.top_k, 1, 1, GroupScore::largest};
    if (e.node_limit > 0 && e.node_limit < nodes) {
        gate.groups = nodes;
        gate.top_k_groups = e.node_limit;
    }
    return gate;
}

void check(const ExpertExchange& e, const ClusterProfile& cluster, std::int32_t per_node,
           const NameOfKey& name) {
    const auto fail = [&](const char* key, std::int64_t value, const std::string& rule) {
        const std::string named = name ? name(key, value) : fmt::format("{} = {}", key, value);
        throw InputError(fmt::format("{}: {}", named, rule));
    };
    const auto gpus = static_cast<std::int64_t>(cluster.gpus_per_node.value.value());
    const auto nodes = static_cast<std::int64_t>(cluster.nodes.value.value());
    if (per_node > gpus) {
        fail("ranks_per_node", per_node,
             fmt::format("must be at most the {} GPUs a node of {}", gpus, cluster.name));
    }
    if (e.ranks < 1 || e.ranks % per_node != 0) {
        fail("ranks", e.ranks, fmt::format("must be a multiple of the {} a node", per_node));
    }
    if (e.ranks / per_node > nodes) {
        fail("ranks", e.ranks,
             fmt::format("takes {} nodes, {} has {}", e.ranks / per_node, cluster.name, nodes));
    }
    if (e.slots == 0 && e.experts % e.ranks != 0) {
        fail("ranks", e.ranks,
             fmt::format("must divide the {} experts, or slots for redundant ones be given",
                         e.experts));
    }
    if (e.slots > 0 && (e.slots < e.experts || e.slots % e.ranks != 0)) {
        fail("slots", e.slots,
             fmt::format("must be at least the {} experts and a multiple of the {} ranks",
                         e.experts, e.ranks));
    }
}

}  // namespace

ExpertExchangeAnswer answer_exchange(const ExpertExchange& e, const ClusterProfile& cluster,
                                     const NameOfKey& name) {
    const auto gpus = static_cast<std::int32_t>(cluster.gpus_per_node.value.value());
    const std::int32_t per_node =
        e.ranks_per_node > 0 ? e.ranks_per_node : std::max(1, std::min(e.ranks, gpus));
    check(e, cluster, per_node, name);
    const RoutingSpec routing{
        .kind = e.routing, .gate = gate_of(e, e.ranks / per_node), .affinity = e.affinity};
    RoutingGroup group{e.ranks, per_node, e.tokens, {}};
    if (e.slots > 0) group.placement = redundant_placement(e.experts, e.ranks, e.slots);
    ExpertExchangeAnswer answer;
    answer.traffic = route(routing, group, 0, 0);
    answer.payload = expert_payload(e.mode, e.dispatch, e.hidden);
    const ExpertAllToAll model(cluster);
    answer.time =
        model.time(answer.traffic, {e.mode, e.version, answer.payload, e.sms, e.dispatch});
    answer.notify = model.notify(answer.traffic);
    return answer;
}

void read_exchange(const ConfigNode& block, ExpertExchange& e) {
    if (const auto node = block.find("mode")) {
        e.mode = parse_expert_mode(node->as_string(), node->place());
    }
    if (const auto node = block.find("version")) {
        e.version = parse_expert_version(node->as_string(), node->place());
    }
    read_count(block, "ranks", e.ranks);
    read_count(block, "ranks_per_node", e.ranks_per_node);
    read_count(block, "tokens", e.tokens);
    read_count(block, "hidden", e.hidden);
    read_count(block, "top_k", e.top_k);
    read_count(block, "experts", e.experts);
    read_count(block, "slots", e.slots, 0);
    read_count(block, "node_limit", e.node_limit, 0);
    read_count(block, "sms", e.sms);
    read_count(block, "seed", e.affinity.seed, 0);
    read_skew(block, "skew", e.affinity.skew);
    read_skew(block, "sequence_skew", e.affinity.sequence_skew);
    if (const auto node = block.find("balanced")) {
        e.routing = node->as_bool() ? RoutingKind::balanced : RoutingKind::drawn;
    }
    block.reject_unknown_keys();
}

}  // namespace orrery
