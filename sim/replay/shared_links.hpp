#pragma once
// The links of a replay while it runs: transfers of rank classes and group classes as flows over
// classes of links that cannot differ. A link that one group alone ever loads is no flow's
// neighbour: it only caps that group's rate.

#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "network/flow_network.hpp"
#include "replay/fold.hpp"
#include "replay/program.hpp"

namespace orrery {

class SharedLinks {
  public:
    // `input.network` must be there.
    SharedLinks(const ReplayInput& input, const Folding& folding);

    // Starts what a group class (of kind `expert`) or a rank class moves now; `duration_ps` alone.
    void start_collective(const CollectiveSpec& spec, std::uint32_t group_class, std::uint64_t tag,
                          SimTime now);
    void start_message(const MessageSpec& message, std::uint32_t rank_class, std::uint64_t tag,
                       SimTime now);
    std::optional<SimTime> next_completion() { return flows_.next_completion(); }
    std::span<const Completion> advance_to(SimTime now) { return flows_.advance_to(now); }
    FlowCounts counts() const { return flows_.counts(); }

  private:
    struct Route {
        std::vector<RouteHop> hops;
        double cap = 0;  // B/s, by links of its own; 0: none
    };
    void find_private_links();
    template <class Owners>
    Route route(const LinkPattern& pattern, const Owners& owners) const;
    void start(const Route& route, const SharedTransfer& transfer, std::int64_t duration_ps,
               std::uint64_t tag, SimTime now);

    const ReplayInput& input_;
    FlowNetwork flows_;
    std::vector<bool> private_;             // by link: only one group ever loads it
    std::vector<std::uint32_t> flow_link_;  // by link; kNotRepresentative: another stands for it
    std::vector<std::vector<std::uint32_t>> groups_;  // by group class of kind expert
    std::vector<std::vector<std::uint32_t>> ranks_;   // by rank class
    std::map<std::pair<std::uint32_t, std::uint32_t>, Route> group_routes_, message_routes_;
};

}  // namespace orrery
