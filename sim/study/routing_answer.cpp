#include "study/routing_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/cluster_profile.hpp"
#include "model/read_config.hpp"
#include "model/read_loads.hpp"
#include "model/routing_bias.hpp"
#include "model/weights.hpp"

namespace orrery {

namespace {

// DeepSeek-V3's experts in FP8: 3 x 7168 x 2048 and a scale of 4 B for each 128 x 128.
constexpr double kDeepSeekExpert = 3.0 * 7168 * 2048 * (1 + 4.0 / (128 * 128));

Bytes expert_bytes(const ModelSpec& model, const LayerSpec& layer) {
    const double bytes = model.weight_format == "fp8_block" ? 1 + 4.0 / (128 * 128) : 2;
    double elements = 0;
    for (const Weight& w : layer_weights(model, layer)) {
        if (w.part != WeightPart::routed_experts) continue;
        elements += static_cast<double>(w.elements());
    }
    return Bytes(bytes * elements / static_cast<double>(layer.moe->experts));
}

void read_model(const RoutingQuestion& question, RoutingAnswer& answer, Bytes& expert) {
    answer.model = "DeepSeek-V3's experts";
    expert = Bytes(kDeepSeekExpert);
    if (!question.model) return;
    const ModelSpec model = load_model(*question.model);
    for (const LayerSpec& layer : model.layers) {
        if (!layer.moe) continue;
        answer.model = model.name;
        answer.spec.gate = gate_of(*layer.moe);
        expert = expert_bytes(model, layer);
        return;
    }
    throw InputError(fmt::format("{}: has no layer with experts", question.model->string()));
}

void describe(const RoutingQuestion& question, RoutingAnswer& answer) {
    const AffinitySpec& a = answer.spec.affinity;
    if (answer.spec.kind == RoutingKind::balanced) {
        answer.affinities = "balanced: every expert the same number of tokens";
    } else if (question.loads) {
        answer.origin = Origin::given;
        answer.affinities = fmt::format("drawn to the loads of {}", question.loads->string());
    } else if (a.skew == 0) {
        answer.affinities = "drawn: all experts alike";
    } else {
        answer.affinities =
            fmt::format("drawn: experts' log-odds of standard deviation {:g}", a.skew);
    }
    if (a.sequence_skew > 0 && answer.spec.kind == RoutingKind::drawn) {
        answer.affinities += fmt::format(", {:g} more anew for each sequence", a.sequence_skew);
    }
}

void apply_loads(const RoutingQuestion& question, RoutingAnswer& answer) {
    if (!question.loads) return;
    if (answer.spec.kind == RoutingKind::balanced || answer.spec.affinity.skew != 0) {
        throw InputError("--loads: says how loads differ: no --balanced and no --skew beside it");
    }
    const auto rows = read_expert_loads(*question.loads);
    const auto layers = static_cast<std::int64_t>(rows.size());
    if (question.load_layer < 0 || question.load_layer >= layers) {
        throw InputError(fmt::format("--load-layer {}: must be 0 to {}, the rows of {}",
                                     question.load_layer, layers - 1, question.loads->string()));
    }
    answer.spec.weights =
        weights_for_loads(answer.spec, rows[static_cast<std::size_t>(question.load_layer)]);
}

void apply_bias(const RoutingQuestion& question, RoutingAnswer& answer) {
    if (question.bias_steps == 0) return;
    if (answer.spec.kind == RoutingKind::balanced) {
        throw InputError("--bias-steps: balanced routing has no affinities that a bias could move");
    }
    BiasRun run = run_bias(answer.spec, question.layer, question.bias_steps,
                           question.bias_sequences, question.group.tokens, question.gamma);
    answer.spec.bias = std::move(run.bias);
    answer.bias_imbalance = std::move(run.imbalance);
}

std::vector<double> loads_of(const ExpertTraffic& traffic, const ExpertPlacement& placement) {
    std::vector<double> loads(static_cast<std::size_t>(placement.experts), 0);
    for (std::size_t slot = 0; slot < traffic.slot_rows.size(); ++slot) {
        loads[static_cast<std::size_t>(placement.slot_expert[slot])] +=
            static_cast<double>(traffic.slot_rows[slot]);
    }
    return loads;
}

Imbalance imbalance_of(const ExpertTraffic& traffic, const std::vector<double>& loads) {
    std::vector<double> nodes(static_cast<std::size_t>(traffic.nodes()), 0);
    const auto rows = traffic.rows();
    for (std::size_t rank = 0; rank < rows.size(); ++rank) {
        const auto node = traffic.node_of(static_cast<std::int32_t>(rank));
        nodes[static_cast<std::size_t>(node)] += static_cast<double>(rows[rank]);
    }
    return {largest_over_mean(loads), traffic.imbalance(), largest_over_mean(nodes)};
}

EplbResult balance(const RoutingQuestion& question, const RoutingAnswer& answer, Bytes expert,
                   const ExpertPlacement& start, const std::filesystem::path& profiles) {
    const RoutingGroup& group = question.group;
    const EplbShape shape{question.replicas, answer.spec.gate.groups,
                          group.ranks / group.ranks_per_node, group.ranks};
    EplbResult result;
    result.hierarchical = shape.hierarchical();
    result.placement = rebalance_experts(answer.expert_loads, shape);
    result.before = largest_over_mean(rank_loads(start, answer.expert_loads));
    result.after = largest_over_mean(rank_loads(result.placement, answer.expert_loads));
    RoutingGroup placed = group;
    placed.placement = result.placement;
    const ExpertTraffic next = route(answer.spec, placed, question.layer, question.micro_batch + 1);
    const auto loads = loads_of(next, result.placement);
    result.next = imbalance_of(next, loads);
    result.next_unplaced = largest_over_mean(rank_loads(start, loads));
    result.cost = rebalance_cost(start, result.placement, group.ranks_per_node);
    result.expert = expert;
    const ClusterProfile cluster = load_cluster(question.cluster, profiles);
    result.time =
        result.cost.time(expert, cluster.nvlink_bandwidth.value,
                         cluster.nic_bandwidth.value * cluster.nic_efficiency.value.value());
    result.origin =
        weakest(weakest(cluster.nvlink_bandwidth.from.origin, cluster.nic_bandwidth.from.origin),
                weakest(cluster.nic_efficiency.from.origin, Origin::derived));
    return result;
}

// Where the experts lie before EPLB.
ExpertPlacement start_of(const RoutingQuestion& question, const GateSpec& gate) {
    const std::int32_t ranks = question.group.ranks, per_node = question.group.ranks_per_node;
    if (ranks % per_node != 0) {
        throw InputError(
            fmt::format("--ep {}: must be a multiple of --ranks-per-node {}", ranks, per_node));
    }
    if (question.replicas == 0) {
        if (gate.experts % ranks != 0) {
            throw InputError(fmt::format(
                "--ep {}: must divide the {} experts, or --eplb give a multiple of it as slots",
                ranks, gate.experts));
        }
        return contiguous_placement(gate.experts, ranks);
    }
    if (question.replicas < gate.experts || question.replicas % ranks != 0) {
        throw InputError(
            fmt::format("--eplb {}: must be at least the {} experts and a multiple of --ep {}",
                        question.replicas, gate.experts, ranks));
    }
    return redundant_placement(gate.experts, question.group.ranks, question.replicas);
}

}  // namespace

RoutingAnswer answer_routing(const RoutingQuestion& question,
                             const std::filesystem::path& profiles) {
    RoutingAnswer answer;
    answer.spec = question.spec;
    Bytes expert;
    read_model(question, answer, expert);
    check_gate(answer.spec.gate);
    describe(question, answer);
    apply_loads(question, answer);
    apply_bias(question, answer);
    const ExpertPlacement start = start_of(question, answer.spec.gate);
    RoutingGroup group = question.group;
    group.placement = start;
    answer.traffic = route(answer.spec, group, question.layer, question.micro_batch);
    answer.expert_loads = loads_of(answer.traffic, start);
    answer.imbalance = imbalance_of(answer.traffic, answer.expert_loads);
    const GateSpec& gate = answer.spec.gate;
    const AffinitySpec& affinity = answer.spec.affinity;
    const bool uniform = answer.spec.kind == RoutingKind::drawn && affinity.skew == 0 &&
                         affinity.sequence_skew == 0 && answer.spec.weights.empty() &&
                         answer.spec.bias.empty() && question.replicas == 0;
    if (uniform && (gate.group_score == GroupScore::largest || gate.top_k_groups == gate.groups)) {
        GateSpec by_node = gate;
        by_node.groups = answer.traffic.nodes();
        if (gate.top_k_groups == gate.groups) by_node.top_k_groups = by_node.groups;
        if (by_node.groups == gate.groups || gate.top_k_groups == gate.groups) {
            answer.expected_nodes = expected_nodes_of_best_groups(by_node);
        }
    }
    if (question.replicas > 0) answer.eplb = balance(question, answer, expert, start, profiles);
    return answer;
}

}  // namespace orrery
