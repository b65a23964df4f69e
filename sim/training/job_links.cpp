#include "training/job_links.hpp"

#include "network/cluster_topology.hpp"
#include "network/routed_network.hpp"

namespace orrery {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Cables carry their nominal bandwidth; efficiencies stand in the coefficients.
RoutedNetwork nominal_network(const TrainingSpec& spec) {
    ClusterProfile cluster = spec.cluster;
    cluster.nic_efficiency.value = Ratio(1);
    return RoutedNetwork(cluster_topology(cluster));
}

class Loads {
  public:
    explicit Loads(const TrainingSpec& spec) : network_(nominal_network(spec)) {
        if (spec.cluster.expert_costs) {
            expert_nic_ = spec.cluster.expert_costs->nic_efficiency.value.value();
            expert_nvlink_ = spec.cluster.expert_costs->nvlink_efficiency.value.value();
        }
        send_nic_ = spec.cluster.nic_efficiency.value.value();
    }
    std::vector<double> capacities() {
        std::vector<double> result;
        for (std::uint32_t link = 0; link < network_.flows().links(); ++link) {
            result.push_back(network_.flows().capacity(LinkId{link}).value());
        }
        return result;
    }
    void add_send(LinkPattern& pattern, std::uint32_t from, std::uint32_t to) {
        for (const RouteHop& hop : network_.spread(from, to).hops) {
            pattern.add(from, hop.link.index,
                        hop.coefficient / (is_nvlink(hop.link) ? 1.0 : send_nic_));
        }
    }
    // Shares of each draw of what `from` sends to `to`, forwards and, for combines, backwards.
    void add_expert(std::vector<LinkPattern>& patterns, std::size_t group, std::uint32_t from,
                    std::uint32_t to, const std::vector<double>& shares) {
        for (const RouteHop& hop : network_.spread(from, to).hops) {
            const double used = is_nvlink(hop.link) ? expert_nvlink_ : expert_nic_;
            for (std::size_t draw = 0; draw < shares.size(); ++draw) {
                const double load = hop.coefficient * shares[draw] / used;
                patterns[draw].add(group, hop.link.index, load);
                // A cable's other direction is its neighbour among the links.
                patterns[shares.size() + draw].add(group, hop.link.index ^ 1U, load);
            }
        }
    }

  private:
    bool is_nvlink(LinkId link) const {
        return network_.topology().links[network_.cable(link)].link_class == LinkClass::nvlink;
    }
    RoutedNetwork network_;
    double expert_nic_ = 1, expert_nvlink_ = 1, send_nic_ = 1;
};

// Tokens that the rank at place `i` of `node` hands to each rank of its node, its own NIC's and
// those that came in over it.
std::int64_t forwarded(const ExpertTraffic& t, std::int32_t node, std::int32_t i,
                       std::int32_t destination) {
    std::int64_t tokens = 0;
    for (std::int32_t from = 0; from < t.nodes(); ++from) {
        tokens += t.to_rank(from * t.ranks_per_node + i, node * t.ranks_per_node + destination);
    }
    return tokens;
}

// Every pair of members that data moves between, with each draw's share of the reference.
template <class Add>
void for_each_pair(const RoutedExperts& experts, const Add& add) {
    const ExpertTraffic& shape = experts.traffic(0);
    const auto shares = [&](const auto& tokens_of) {
        std::vector<double> result;
        for (std::int32_t draw = 0; draw < experts.draws(); ++draw) {
            result.push_back(static_cast<double>(tokens_of(experts.traffic(draw))) /
                             experts.reference_tokens(draw));
        }
        return result;
    };
    for (std::int32_t member = 0; member < shape.ranks; ++member) {
        const std::int32_t node = shape.node_of(member), i = member % shape.ranks_per_node;
        for (std::int32_t to = 0; to < shape.nodes(); ++to) {
            if (to == node) continue;
            add(member, to * shape.ranks_per_node + i,
                shares([&](const ExpertTraffic& t) { return t.to_node(member, to); }));
        }
        for (std::int32_t j = 0; j < shape.ranks_per_node; ++j) {
            if (j == i) continue;
            add(member, node * shape.ranks_per_node + j,
                shares([&](const ExpertTraffic& t) { return forwarded(t, node, i, j); }));
        }
    }
}

}  // namespace

SharedNetwork job_network(const TrainingSpec& spec, const PlacementShape& shape,
                          const RoutedExperts& experts,
                          const std::set<std::pair<int, int>>& sends) {
    Loads loads(spec);
    SharedNetwork network;
    network.capacity = loads.capacities();
    if (experts.timed()) {
        constexpr auto kExpert = static_cast<std::size_t>(Group::expert);
        std::vector<std::vector<std::uint32_t>> members(group_counts(shape)[kExpert]);
        for (std::int64_t rank = 0; rank < shape.ranks(); ++rank) {
            members[groups_of(shape, rank)[kExpert]].push_back(static_cast<std::uint32_t>(rank));
        }
        network.group_patterns.assign(index(2 * experts.draws()), LinkPattern(members.size()));
        for_each_pair(
            experts, [&](std::int32_t from, std::int32_t to, const std::vector<double>& shares) {
                for (std::size_t group = 0; group < members.size(); ++group) {
                    loads.add_expert(network.group_patterns, group, members[group][index(from)],
                                     members[group][index(to)], shares);
                }
            });
    }
    network.message_patterns.assign(index(shape.pp), LinkPattern(index(shape.ranks())));
    for (const auto& [from, to] : sends) {
        for (std::int64_t lane = 0; lane < shape.lanes(); ++lane) {
            loads.add_send(network.message_patterns[index(to)],
                           static_cast<std::uint32_t>(from * shape.lanes() + lane),
                           static_cast<std::uint32_t>(to * shape.lanes() + lane));
        }
    }
    return network;
}

}  // namespace orrery
