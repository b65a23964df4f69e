#include "training/routed_experts.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "collective/expert_loads.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "core/time.hpp"
#include "model/routing_bias.hpp"

namespace orrery {
namespace {

// Tokens a rank that evened traffic is counted from: 64 ranks x 512 leave 0.1 % of noise.
constexpr std::int64_t kSampledTokens = 512;
constexpr std::int32_t kUsualSms = 24;  // DeepEP's own, where a scenario sets none aside

const MoeSpec* first_experts(const ModelSpec& model) {
    for (const LayerSpec& layer : model.layers) {
        if (layer.moe) return &*layer.moe;
    }
    return nullptr;
}

bool same_gate(const MoeSpec& a, const MoeSpec& b) {
    const GateSpec x = gate_of(a), y = gate_of(b);
    return x.experts == y.experts && x.top_k == y.top_k && x.groups == y.groups &&
           x.top_k_groups == y.top_k_groups && x.group_score == y.group_score;
}

void check(const TrainingSpec& spec, const MoeSpec* moe) {
    if (moe == nullptr) {
        throw InputError(fmt::format("routing.kind: drawn: {} has no experts", spec.model.name));
    }
    if (spec.plan.tp > 1) {
        throw InputError(
            fmt::format("routing.kind: drawn: must be balanced with plan.tp = {}: "
                        "counted rows are known for one tensor rank",
                        spec.plan.tp));
    }
    for (const LayerSpec& layer : spec.model.layers) {
        if (!layer.moe || same_gate(*layer.moe, *moe)) continue;
        throw InputError(
            fmt::format("routing.kind: drawn: the gates of {}'s layers differ, must "
                        "be the same",
                        spec.model.name));
    }
}

RoutedRows rows_of(const ExpertTraffic& traffic, const std::vector<std::int64_t>& received,
                   std::int32_t member) {
    const std::size_t slots = traffic.slot_rows.size() / static_cast<std::size_t>(traffic.ranks);
    const auto rank = static_cast<std::size_t>(member);
    RoutedRows rows{0, received[rank]};
    for (std::size_t slot = rank * slots; slot < (rank + 1) * slots; ++slot) {
        rows.rows += padded_expert_rows(traffic.slot_rows[slot]);
    }
    return rows;
}

}  // namespace

ExpertTraffic evened(const ExpertTraffic& traffic, std::int64_t tokens) {
    double own_node = 0, other_node = 0, own_rank = 0, near_rank = 0, far_rank = 0;
    for (std::int32_t source = 0; source < traffic.ranks; ++source) {
        const std::int32_t node = traffic.node_of(source);
        for (std::int32_t to = 0; to < traffic.nodes(); ++to) {
            (to == node ? own_node : other_node) += traffic.to_node(source, to);
        }
        for (std::int32_t to = 0; to < traffic.ranks; ++to) {
            const bool near = traffic.node_of(to) == node;
            (to == source ? own_rank : near ? near_rank : far_rank) += traffic.to_rank(source, to);
        }
    }
    const double scale = static_cast<double>(tokens) /
                         (static_cast<double>(traffic.tokens) * static_cast<double>(traffic.ranks));
    const auto share = [&](double sum, std::int32_t targets) {
        return targets == 0 ? 0 : static_cast<std::int32_t>(std::lround(sum * scale / targets));
    };
    const std::int32_t here = traffic.ranks_per_node;
    ExpertTraffic even = traffic;
    even.tokens = tokens;
    for (std::int32_t source = 0; source < traffic.ranks; ++source) {
        const std::int32_t node = traffic.node_of(source);
        for (std::int32_t to = 0; to < traffic.nodes(); ++to) {
            even.node_pairs[static_cast<std::size_t>(source * traffic.nodes() + to)] =
                to == node ? share(own_node, 1) : share(other_node, traffic.nodes() - 1);
        }
        for (std::int32_t to = 0; to < traffic.ranks; ++to) {
            const auto at = static_cast<std::size_t>(source * traffic.ranks + to);
            even.rank_pairs[at] = to == source ? share(own_rank, 1)
                                  : traffic.node_of(to) == node
                                      ? share(near_rank, here - 1)
                                      : share(far_rank, traffic.ranks - here);
            even.selections[at] = static_cast<std::int32_t>(
                std::lround(static_cast<double>(tokens * traffic.top_k) / traffic.ranks));
        }
    }
    const auto slots = static_cast<double>(even.slot_rows.size());
    const double all = static_cast<double>(tokens * traffic.top_k) * traffic.ranks;
    std::fill(even.slot_rows.begin(), even.slot_rows.end(), std::llround(all / slots));
    return even;
}

RoutedExperts::RoutedExperts(const TrainingSpec& spec, const PlacementShape& shape)
    : ranks_(static_cast<std::int32_t>(spec.plan.ep)),
      drawn_(spec.routing.kind == RoutingKind::drawn),
      notify_(spec.network.notify),
      version_(spec.network.expert_version),
      sms_(spec.communication_sms > 0 ? static_cast<std::int32_t>(spec.communication_sms)
                                      : kUsualSms),
      seed_(spec.routing.affinity.seed) {
    const MoeSpec* moe = first_experts(spec.model);
    if (drawn_) check(spec, moe);
    const bool timed = spec.network.counted_tokens && moe != nullptr && spec.plan.ep > 1;
    if (timed) exchange_.emplace(spec.cluster);
    if (!drawn_ && !timed) return;
    const GroupPlacement place = group_placement(shape, Group::expert);
    // Own tokens of a rank: context and sequence parallelism split them.
    const std::int64_t tokens =
        spec.plan.micro_batch_size * spec.sequence_length / (spec.plan.cp * spec.plan.tp);
    count(spec, *moe,
          {static_cast<std::int32_t>(place.ranks),
           static_cast<std::int32_t>(place.ranks_per_node),
           tokens,
           {}});
}

void RoutedExperts::count(const TrainingSpec& spec, const MoeSpec& moe, const RoutingGroup& group) {
    RoutingSpec routing{.kind = RoutingKind::drawn, .gate = gate_of(moe), .affinity = {}};
    if (!drawn_) {
        RoutingGroup sample = group;
        sample.tokens = std::min(group.tokens, kSampledTokens);
        traffic_.push_back(evened(route(routing, sample, 0, 0), group.tokens));
        return;
    }
    routing.affinity = spec.routing.affinity;
    std::vector<std::vector<double>> weights;
    for (const auto& loads : spec.routing.loads) {
        if (static_cast<std::int32_t>(weights.size()) == spec.routing.draws) break;
        weights.push_back(weights_for_loads(routing, loads));
    }
    for (std::int32_t draw = 0; draw < spec.routing.draws; ++draw) {
        if (!weights.empty()) {
            routing.weights = weights[static_cast<std::size_t>(draw) % weights.size()];
        }
        traffic_.push_back(route(routing, group, draw, draw));
        const auto received = traffic_.back().received();
        for (std::int32_t member = 0; member < group.ranks; ++member) {
            rows_.push_back(rows_of(traffic_.back(), received, member));
        }
    }
}

std::int32_t RoutedExperts::draw_of(std::int64_t layer, std::int64_t micro_batch) const {
    if (draws() == 1) return 0;
    const std::uint64_t hash = counter_hash(seed_, static_cast<std::uint64_t>(layer),
                                            static_cast<std::uint64_t>(micro_batch));
    return static_cast<std::int32_t>(hash % static_cast<std::uint64_t>(draws()));
}

const RoutedRows& RoutedExperts::rows(std::int32_t draw, std::int32_t member) const {
    return rows_.at(static_cast<std::size_t>(draw) * static_cast<std::size_t>(ranks_) +
                    static_cast<std::size_t>(member));
}

const ExpertTraffic& RoutedExperts::traffic(std::int32_t draw) const {
    return traffic_.at(static_cast<std::size_t>(draw));
}

double RoutedExperts::row_spread() const {
    double n = 0, sum = 0, squares = 0;
    for (const ExpertTraffic& traffic : traffic_) {
        for (const std::int64_t rows : traffic.rows()) {
            const auto x = static_cast<double>(rows);
            n += 1, sum += x, squares += x * x;
        }
    }
    if (n == 0) return 0;
    const double mean = sum / n;
    return std::sqrt(std::max(0.0, squares / n - mean * mean)) / mean;
}

double RoutedExperts::mean_nodes() const {
    double sum = 0;
    for (const ExpertTraffic& traffic : traffic_) sum += traffic.mean_nodes();
    return traffic_.empty() ? 0 : sum / static_cast<double>(traffic_.size());
}

CommunicationEstimate RoutedExperts::time(const Communication& op, std::int32_t draw) const {
    const ExpertTraffic& counted = traffic(draw);
    const ExpertTransfer transfer{.version = version_,
                                  .payload = op.bytes,
                                  .sms = sms_,
                                  .dispatch = op.kind == CommunicationKind::expert_dispatch};
    const ExpertTime moved = exchange_->time(counted, transfer);
    CommunicationEstimate estimate;
    estimate.time = moved.time;
    if (notify_) estimate.time = estimate.time + exchange_->notify(counted);
    estimate.memory_traffic = orrery::bytes(Operator{"", op}) / moved.time;
    estimate.origin = moved.origin;
    estimate.rule = fmt::format("tokens counted from routing, {:.2f} nodes each, {}-limited",
                                mean_nodes(), moved.limit);
    return estimate;
}

double RoutedExperts::reference_tokens(std::int32_t draw) const {
    const ForwardedLoads loads = forwarded_loads(traffic(draw));
    const std::int64_t most = traffic(draw).nodes() > 1 ? loads.nic.most() : loads.nvlink.most();
    return static_cast<double>(std::max<std::int64_t>(1, most));
}

SharedTransfer RoutedExperts::transfer(const Communication& op, std::int32_t draw) const {
    const ExpertTraffic& counted = traffic(draw);
    const ClusterProfile& cluster = exchange_->cluster();
    const bool dispatch = op.kind == CommunicationKind::expert_dispatch;
    SharedTransfer transfer;
    transfer.pattern = static_cast<std::uint32_t>(dispatch ? draw : draws() + draw);
    transfer.weight = static_cast<std::uint32_t>(std::max(1, counted.nodes() - 1));
    transfer.bytes = op.bytes.value() * reference_tokens(draw);
    Seconds latency = cluster.nvlink_latency.value;
    if (counted.nodes() > 1) latency = latency + cluster.nic_latency.value;
    if (notify_) latency = latency + exchange_->notify(counted);
    transfer.latency_ps = to_sim_duration(latency).ps;
    return transfer;
}

}  // namespace orrery
