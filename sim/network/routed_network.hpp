#pragma once
// A topology put to use: messages between ranks take shortest paths and share links as flows.
//
//   cost of a link   NIC 100, switch to switch 2, PCIe 2, NVLink 1: a GPU forwards over NVLink
//                    where its peer's NIC is on the right rail or plane, never over two NICs
//   next link        among those on a shortest path to the destination
//     static         the flow's hash chooses (ECMP)
//     adaptive       of 16 such paths, the one whose busiest link has the fewest bytes given to it
//                    and not yet delivered
//   latency          the sum over the links
//
// Each cable becomes two links of the FlowNetwork, one a direction. Failed ones (health 0) do not
// exist; where that disconnects two ranks, a message between them is an InputError.
//
// Left out: changes of path while a flow is under way.

#include <memory>
#include <unordered_map>

#include "network/flow_network.hpp"
#include "network/topology.hpp"

namespace orrery {

enum class Routing : std::uint8_t { fixed, adaptive };

struct Message {
    std::uint32_t source = 0, destination = 0;  // ranks, different
    Bytes bytes;
    SimDuration latency = {};  // in addition to the links'
    std::uint32_t weight = 1;
    std::optional<BytesPerSecond> cap = {};
    std::uint64_t tag = 0;
    std::uint64_t hash = 0;  // tells flows between the same two ranks apart
};

class RoutedNetwork {
  public:
    // Throws InputError where the topology has no endpoints.
    explicit RoutedNetwork(Topology topology, Routing routing = Routing::fixed);
    ~RoutedNetwork();
    RoutedNetwork(RoutedNetwork&&) noexcept;

    const Topology& topology() const { return topology_; }
    std::uint32_t ranks() const { return static_cast<std::uint32_t>(topology_.endpoints.size()); }

    // Starts a message at `now` (FlowNetwork::start). Throws InputError for a rank that is not
    // there, a message to oneself, a disconnected pair.
    FlowId start(const Message& message, SimTime now);
    // When next, and advance to now: as FlowNetwork's.
    std::optional<SimTime> next_completion() { return flows_.next_completion(); }
    std::span<const Completion> advance_to(SimTime now);
    SimTime now() const { return flows_.now(); }
    FlowCounts counts() const { return flows_.counts(); }
    FlowNetwork& flows() { return flows_; }

    // The path a message would take: hops, and their latency. Valid until the next call.
    struct Path {
        std::span<const RouteHop> hops;
        SimDuration latency;
    };
    Path path(std::uint32_t source, std::uint32_t destination, std::uint64_t hash = 0);
    // Every shortest path at once: at each node an equal share goes on to each next one, as packets
    // sprayed over all of them would; a hop's coefficient is its share. A link may stand more than
    // once. Valid until the next call.
    Path spread(std::uint32_t source, std::uint32_t destination);
    // Cable of a hop's link.
    std::uint32_t cable(LinkId link) const { return cables_[link.index]; }

  private:
    struct Step {
        std::uint32_t to;
        std::uint32_t link;  // of the FlowNetwork, in this direction
        std::uint16_t cost;
        std::int64_t latency_ps;
    };
    struct Graph;
    using Distances = std::vector<std::uint16_t>;  // by node, to one destination

    // A way to an endpoint: through its switch where it has one cable only.
    struct Target {
        std::uint32_t from = 0, to = 0, node = 0;  // node: to which distances lead
        bool single = false;                       // one more cable from `node` to `to`
    };
    Target target(std::uint32_t source, std::uint32_t destination) const;
    [[noreturn]] void fail_disconnected(std::uint32_t source, std::uint32_t destination) const;
    void last_cable(const Target& target);
    void find_near(const Target& target);
    const Distances& distances_to(std::uint32_t node);
    void walk(std::uint32_t from, std::uint32_t to, const Distances& distance, std::uint64_t hash);
    std::int64_t busiest() const;
    bool is_one_switch_away(std::uint32_t source, std::uint32_t destination);

    Topology topology_;
    Routing routing_;
    FlowNetwork flows_;
    std::vector<std::uint32_t> first_step_;  // by node, in steps_; one more at the end
    std::vector<Step> steps_;
    std::vector<std::uint32_t> cables_;  // by LinkId
    std::unique_ptr<Graph> graph_;
    std::unordered_map<std::uint32_t, Distances> distances_;  // by destination node
    std::size_t remembered_ = 0;                              // entries of distances_
    Distances near_;                         // by node; to the last find_near()'s target
    std::vector<std::uint32_t> near_nodes_;  // that have one
    std::vector<std::int64_t> given_;        // bytes on the way, by LinkId
    std::unordered_map<std::uint32_t, std::pair<std::int64_t, std::vector<LinkId>>> under_way_;
    std::vector<RouteHop> hops_, best_hops_;
    std::int64_t latency_ps_ = 0;
};

}  // namespace orrery
