#include "model/routing.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Experts of tokens, one block after another.
class Tokens {
  public:
    Tokens(const RoutingSpec& spec, const RoutingDraw& draw)
        : spec_(spec),
          gate_(spec.gate),
          affinities_(spec.affinity, spec.gate.experts, spec.weights),
          draw_(draw),
          bias_(index(spec.gate.experts), 0.0F),
          scores_(index(spec.gate.experts * kGateBlock)) {
        for (std::size_t e = 0; e < spec.bias.size(); ++e) {
            bias_[e] = static_cast<float>(spec.bias[e]);
        }
        odds_ = affinities_.odds(draw);
    }
    // kGateBlock x top_k experts from `first` on.
    void block(std::int64_t first, std::int32_t* chosen) {
        if (spec_.kind == RoutingKind::balanced) {
            balanced(first, chosen);
            return;
        }
        affinities_.fill(draw_, odds_, bias_, first, scores_.data());
        gate_.choose(scores_.data(), chosen);
    }

  private:
    // Token t takes slot j's expert from group t + (j mod M), turning on by one place whenever all
    // groups have had their turn, and spreads its experts of one group over it.
    void balanced(std::int64_t first, std::int32_t* chosen) const {
        const GateSpec& g = spec_.gate;
        const std::int64_t size = g.group_size();
        const std::int64_t each = (g.top_k + g.top_k_groups - 1) / g.top_k_groups;
        const std::int64_t stride = std::max<std::int64_t>(1, size / each);
        for (std::int64_t i = 0; i < kGateBlock; ++i) {
            // Ranks start at different places, so that short batches spread as well.
            const std::int64_t t = first + i + draw_.rank * 7919;
            for (std::int64_t j = 0; j < g.top_k; ++j) {
                const std::int64_t group = (t + j % g.top_k_groups) % g.groups;
                const std::int64_t place = (t / g.groups + j / g.top_k_groups * stride) % size;
                *chosen++ = static_cast<std::int32_t>(group * size + place);
            }
        }
    }

    const RoutingSpec& spec_;
    Gate gate_;
    Affinities affinities_;
    RoutingDraw draw_;
    std::vector<float> bias_, odds_, scores_;
};

void check(const RoutingSpec& spec) {
    check_gate(spec.gate);
    for (const auto* values : {&spec.bias, &spec.weights}) {
        if (values->empty() || values->size() == index(spec.gate.experts)) continue;
        throw InputError(fmt::format("routing: {} values given for {} experts", values->size(),
                                     spec.gate.experts));
    }
}

void check(const RoutingGroup& group) {
    if (group.ranks < 1 || group.ranks_per_node < 1 || group.ranks % group.ranks_per_node != 0) {
        throw InputError(
            fmt::format("routing: {} ranks, {} a node: must be positive and divide "
                        "evenly",
                        group.ranks, group.ranks_per_node));
    }
    if (group.tokens < 1) {
        throw InputError(
            fmt::format("routing: {} tokens a rank: must be at least 1", group.tokens));
    }
}

// Adds the tokens of one source to the traffic.
class Counter {
  public:
    Counter(ExpertTraffic& traffic, const ExpertPlacement& placement)
        : traffic_(traffic), placement_(placement) {}

    void add(std::int32_t source, std::int64_t token, const std::int32_t* experts) {
        const std::int32_t nodes = traffic_.nodes();
        std::int32_t* selections = &traffic_.selections[index(source) * index(traffic_.ranks)];
        std::int32_t* ranks = &traffic_.rank_pairs[index(source) * index(traffic_.ranks)];
        std::int32_t* node_pairs = &traffic_.node_pairs[index(source) * index(nodes)];
        seen_ranks_.clear();
        seen_nodes_.clear();
        for (std::int32_t k = 0; k < traffic_.top_k; ++k) {
            const auto& slots = placement_.replicas[index(experts[k])];
            const std::int32_t slot =
                slots.size() == 1 ? slots[0] : slots[index(token + source) % slots.size()];
            const std::int32_t rank = placement_.rank_of(slot);
            ++traffic_.slot_rows[index(slot)];
            ++selections[rank];
            if (first_time(seen_ranks_, rank)) ++ranks[rank];
            const std::int32_t node = rank / traffic_.ranks_per_node;
            if (first_time(seen_nodes_, node)) ++node_pairs[node];
        }
    }

  private:
    static bool first_time(std::vector<std::int32_t>& seen, std::int32_t value) {
        if (std::find(seen.begin(), seen.end(), value) != seen.end()) return false;
        seen.push_back(value);
        return true;
    }

    ExpertTraffic& traffic_;
    const ExpertPlacement& placement_;
    std::vector<std::int32_t> seen_ranks_, seen_nodes_;
};

}  // namespace

ExpertTraffic route(const RoutingSpec& spec, const RoutingGroup& group, std::int64_t layer,
                    std::int64_t micro_batch) {
    check(spec);
    check(group);
    const ExpertPlacement placement =
        group.placement ? *group.placement : contiguous_placement(spec.gate.experts, group.ranks);
    if (placement.experts != spec.gate.experts || placement.ranks != group.ranks) {
        throw InputError(
            fmt::format("routing: a placement of {} experts on {} ranks, but {} and {}",
                        placement.experts, placement.ranks, spec.gate.experts, group.ranks));
    }
    ExpertTraffic traffic;
    traffic.ranks = group.ranks;
    traffic.ranks_per_node = group.ranks_per_node;
    traffic.tokens = group.tokens;
    traffic.top_k = spec.gate.top_k;
    traffic.selections.assign(index(group.ranks) * index(group.ranks), 0);
    traffic.rank_pairs = traffic.selections;
    traffic.node_pairs.assign(index(group.ranks) * index(traffic.nodes()), 0);
    traffic.slot_rows.assign(index(placement.slots()), 0);
    Counter counter(traffic, placement);
    std::vector<std::int32_t> chosen(index(kGateBlock * spec.gate.top_k));
    for (std::int32_t source = 0; source < group.ranks; ++source) {
        Tokens tokens(spec, {layer, micro_batch, source});
        for (std::int64_t first = 0; first < group.tokens; first += kGateBlock) {
            tokens.block(first, chosen.data());
            const std::int64_t last = std::min<std::int64_t>(group.tokens - first, kGateBlock);
            for (std::int64_t t = 0; t < last; ++t) {
                counter.add(source, first + t, &chosen[index(t * spec.gate.top_k)]);
            }
        }
    }
    return traffic;
}

std::vector<double> draw_loads(const RoutingSpec& spec, const RoutingDraw& draw,
                               std::int64_t tokens) {
    check(spec);
    Tokens source(spec, draw);
    std::vector<std::int32_t> chosen(index(kGateBlock * spec.gate.top_k));
    std::vector<double> loads(index(spec.gate.experts), 0);
    for (std::int64_t first = 0; first < tokens; first += kGateBlock) {
        source.block(first, chosen.data());
        const std::int64_t count =
            std::min<std::int64_t>(tokens - first, kGateBlock) * spec.gate.top_k;
        for (std::int64_t i = 0; i < count; ++i) loads[index(chosen[index(i)])] += 1;
    }
    return loads;
}

double expected_nodes_of_best_groups(const GateSpec& gate) {
    check_gate(gate);
    // p[d]: probability of d distinct groups after some draws. With d groups seen and i experts
    // drawn, d size - i of the experts left lie in them.
    const double size = gate.group_size(), experts = gate.experts;
    std::vector<double> p(index(gate.groups) + 1, 0);
    p[0] = 1;
    for (std::int32_t i = 0; i < gate.top_k; ++i) {
        for (std::size_t d = p.size() - 1; d < p.size(); --d) {
            const double seen = static_cast<double>(d);
            const double stay = std::max(0.0, (seen * size - i) / (experts - i));
            const double come =
                d == 0 ? 0 : p[d - 1] * (experts - (seen - 1) * size) / (experts - i);
            p[d] = p[d] * stay + come;
        }
    }
    double expected = 0;
    for (std::size_t d = 0; d < p.size(); ++d) {
        expected += p[d] * std::min<double>(static_cast<double>(d), gate.top_k_groups);
    }
    return expected;
}

}  // namespace orrery
