#include "serving/expert_pace.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "model/eplb.hpp"
#include "model/lowering_builder.hpp"
#include "serving/lattice.hpp"

namespace orrery {

namespace {

constexpr std::int64_t kMostDrawn = 1 << 16;          // tokens of a group
constexpr std::int64_t kLoadsMicroBatch = 1'000'000;  // drawn apart, for EPLB

std::int32_t narrow(std::int64_t n) { return static_cast<std::int32_t>(n); }

RoutingSpec routing_of(const EngineSpec& spec, const MoeSpec& moe) {
    RoutingSpec routing;
    routing.kind = spec.routing.kind;
    routing.gate = gate_of(moe);
    routing.affinity = spec.routing.affinity;
    const std::int64_t nodes = spec.plan.ep / spec.gpus_per_node();
    if (routing.kind == RoutingKind::balanced && nodes > 1 && nodes < moe.groups &&
        moe.experts % nodes == 0) {
        routing.gate.groups = narrow(nodes);
        routing.gate.top_k_groups = narrow(std::min(moe.top_k_groups, nodes));
    }
    return routing;
}

}  // namespace

InferencePlan plan_for(const InferencePlan& plan, bool low_latency) {
    InferencePlan result = plan;
    result.expert_layout = low_latency ? GroupLayout::masked : GroupLayout::contiguous;
    return result;
}

ExpertPace::ExpertPace(const EngineSpec& spec, const MoeSpec& moe, bool low_latency)
    : spec_(spec),
      moe_(moe),
      plan_(plan_for(spec.plan, low_latency)),
      low_latency_(low_latency),
      slots_(moe.experts + spec.routing.redundant) {
    if (plan_.all_to_all()) network_.emplace(spec.cluster);
    if (!plan_.all_to_all() || spec.routing.redundant + (spec.routing.eplb ? 1 : 0) == 0) return;
    const std::int64_t ranks = plan_.ep;
    for (std::int64_t layer = 0; layer < spec.routing.layers; ++layer) {
        if (!spec.routing.eplb) {
            placements_[layer] =
                redundant_placement(narrow(moe.experts), narrow(ranks), narrow(slots_));
            continue;
        }
        // Loads as a balancer sees them: many sequences of the whole group, not one rank's.
        RoutingSpec routing = routing_of(spec, moe);
        std::vector<double> loads(static_cast<std::size_t>(moe.experts), 0);
        for (std::int64_t sequence = 0; sequence < 64; ++sequence) {
            const auto one = draw_loads(routing, {layer, kLoadsMicroBatch, sequence}, 512);
            for (std::size_t e = 0; e < loads.size(); ++e) loads[e] += one[e];
        }
        const std::int64_t nodes = std::max<std::int64_t>(1, ranks / spec.gpus_per_node());
        placements_[layer] = rebalance_experts(
            loads, {narrow(slots_), narrow(moe.groups), narrow(nodes), narrow(ranks)});
    }
}

ExpertPaceAt& ExpertPaceAt::operator+=(const ExpertPaceAt& other) {
    load.experts = other.load.experts;
    origin = other.origin;
    imbalance += other.imbalance;
    rows += other.rows;
    received += other.received;
    dispatch += other.dispatch;
    combine += other.combine;
    kernel += other.kernel;
    notify += other.notify;
    dispatch_bytes += other.dispatch_bytes;
    combine_bytes += other.combine_bytes;
    dispatch_stages = dispatch_stages + other.dispatch_stages;
    combine_stages = combine_stages + other.combine_stages;
    return *this;
}

ExpertPaceAt ExpertPaceAt::operator*(double factor) const {
    ExpertPaceAt result = *this;
    for (double* value :
         {&result.imbalance, &result.rows, &result.received, &result.dispatch, &result.combine,
          &result.kernel, &result.notify, &result.dispatch_bytes, &result.combine_bytes}) {
        *value *= factor;
    }
    result.dispatch_stages = dispatch_stages * factor;
    result.combine_stages = combine_stages * factor;
    return result;
}

ExpertPace::Longer ExpertPace::uneven(const ExpertPaceAt& mean, double fullest) const {
    if (!network_ || fullest <= 1) return {};
    const ExpertMode mode = low_latency_ ? ExpertMode::low_latency : ExpertMode::normal;
    const auto nodes = narrow(std::max<std::int64_t>(1, plan_.ep / spec_.gpus_per_node()));
    const auto longer = [&](const ExpertStages& stages) {
        return network_->flight(mode, stages, nodes, fullest) -
               network_->flight(mode, stages, nodes, 1);
    };
    return {longer(mean.dispatch_stages), longer(mean.combine_stages)};
}

ExpertPaceAt ExpertPace::at(std::int64_t tokens) {
    const std::array cells{axis_cell(static_cast<double>(tokens), 1)};
    ExpertPaceAt result = read_lattice(
        cells, [&](const std::array<std::int64_t, 1>& point) { return drawn(point[0]); });
    if (spec_.routing.kind == RoutingKind::balanced) {
        result.load = balanced_load(plan_, moe_, tokens, slots_);
    } else {
        result.load.rows = std::max<std::int64_t>(1, std::llround(result.rows));
        result.load.received = std::max<std::int64_t>(1, std::llround(result.received));
    }
    return result;
}

const ExpertPaceAt& ExpertPace::drawn(std::int64_t tokens) {
    const auto [it, added] = known_.try_emplace(tokens);
    if (!added) return it->second;
    ExpertPaceAt& result = it->second;
    if (plan_.all_to_all()) return result = draw(tokens);
    // Experts inside the attention group: no dispatch; the rank with the busiest is slowest.
    result.load = balanced_load(plan_, moe_, tokens);
    result.imbalance = imbalance_inside(tokens);
    result.rows = static_cast<double>(result.load.rows) * result.imbalance;
    result.received = static_cast<double>(result.load.received);
    return result;
}

double ExpertPace::rows_of_slowest(const ExpertTraffic& traffic, double scale) const {
    const std::size_t per_rank = traffic.slot_rows.size() / static_cast<std::size_t>(traffic.ranks);
    std::int64_t most = 0;
    for (std::size_t first = 0; first < traffic.slot_rows.size(); first += per_rank) {
        std::int64_t rows = 0;
        for (std::size_t i = first; i < first + per_rank; ++i) {
            const auto slot = static_cast<std::int64_t>(
                std::llround(static_cast<double>(traffic.slot_rows[i]) * scale));
            rows += low_latency_ ? slot : 128 * ceil_div(slot, 128);
        }
        most = std::max(most, rows);
    }
    return static_cast<double>(most);
}

void ExpertPace::price(ExpertPaceAt& sum, const ExpertTraffic& traffic, double scale) const {
    const ExpertMode mode = low_latency_ ? ExpertMode::low_latency : ExpertMode::normal;
    const double barrier = low_latency_ ? spec_.cluster.expert_costs->barrier.value.value() : 0;
    for (const bool dispatch : {true, false}) {
        const Bytes payload = expert_payload(mode, dispatch, spec_.model.hidden);
        ExpertTransfer transfer{mode, ExpertVersion::v2025_06, scale * payload,
                                spec_.communication_sms, dispatch};
        const ExpertTime time = network_->time(traffic, transfer);
        ExpertStages& stages = dispatch ? sum.dispatch_stages : sum.combine_stages;
        stages = stages + time.stages;
        (dispatch ? sum.dispatch : sum.combine) += time.slowest.value() - barrier;
        sum.origin = weakest(sum.origin, time.origin);
        // One copy on the token's side and one a rank on the other, read and written there.
        const double copies = 1 + 2 * traffic.mean_ranks();
        (dispatch ? sum.dispatch_bytes : sum.combine_bytes) +=
            copies * scale * payload.value() * static_cast<double>(traffic.tokens);
    }
    sum.notify += network_->notify(traffic).value();
    sum.kernel += barrier / 2;
}

// Who sends what to whom in a layer; the largest draws are scaled to many counts, so they are kept.
const ExpertTraffic& ExpertPace::traffic(std::int64_t layer, std::int64_t tokens) {
    const auto [it, added] = traffic_.try_emplace({layer, tokens});
    if (!added) return it->second;
    RoutingGroup group{
        narrow(plan_.ep), narrow(std::min(plan_.ep, spec_.gpus_per_node())), tokens, {}};
    const auto placed = placements_.find(layer);
    if (placed != placements_.end()) group.placement = placed->second;
    it->second = route(routing_of(spec_, moe_), group, layer, 0);
    return it->second;
}

ExpertPaceAt ExpertPace::draw(std::int64_t tokens) {
    const std::int64_t own = std::max<std::int64_t>(1, ceil_div(tokens, plan_.tp));
    const std::int64_t most = std::max<std::int64_t>(16, kMostDrawn / plan_.ep);
    const std::int64_t count = std::min(own, most);
    const double scale = static_cast<double>(own) / static_cast<double>(count);
    const std::int64_t layers = spec_.routing.kind == RoutingKind::balanced
                                    ? 1
                                    : std::max<std::int64_t>(1, spec_.routing.layers);
    ExpertPaceAt sum;
    for (std::int64_t layer = 0; layer < layers; ++layer) {
        const ExpertTraffic& drawn = traffic(layer, count);
        price(sum, drawn, scale);
        sum.rows += rows_of_slowest(drawn, scale);
        const std::vector<std::int64_t> arrived = drawn.received();
        sum.received +=
            scale * static_cast<double>(*std::max_element(arrived.begin(), arrived.end()));
        sum.imbalance += drawn.imbalance();
        if (count < most) traffic_.erase({layer, count});
    }
    sum = sum * (1 / static_cast<double>(layers));
    sum.load.experts = slots_ / plan_.ep;
    return sum;
}

// Of the ranks' loads: largest over mean.
double ExpertPace::imbalance_inside(std::int64_t tokens) const {
    if (plan_.ep == 1 || spec_.routing.kind == RoutingKind::balanced) return 1;
    const RoutingSpec routing = routing_of(spec_, moe_);
    const std::int64_t count = std::min<std::int64_t>(tokens, 4096);
    const ExpertPlacement placement = contiguous_placement(narrow(moe_.experts), narrow(plan_.ep));
    double sum = 0;
    for (std::int64_t layer = 0; layer < spec_.routing.layers; ++layer) {
        sum += largest_over_mean(rank_loads(placement, draw_loads(routing, {layer, 0, 0}, count)));
    }
    return sum / static_cast<double>(spec_.routing.layers);
}

}  // namespace orrery
