#pragma once
// What routing does to an expert-parallel group in one MoE layer: the rows of its slowest rank, and
// the time of dispatch and combine. All ranks meet in every layer, so the slowest one's time is
// everybody's.
//
// Routing is drawn for a few layers (their mean stands for all) at powers of two of tokens, linear
// between them; in groups of more than 65,536 tokens at that many, what is moved and computed then
// scaled up: the spread of drawn loads is a little too large there. EPLB places slots from loads
// of a micro-batch drawn apart from the one that is priced. Balanced routing spreads each token
// over as many nodes as its gate lets it reach, as the expert-parallel kernels' own benchmarks do:
// with fewer nodes than gate groups, nodes take the groups' place.
//
// Attention groups of unequal load: experts and transfers are the mean group's, and uneven() says
// how much longer the fullest group's tokens take to be sent and to come back.

#include <map>
#include <optional>
#include <utility>

#include "collective/expert_all_to_all.hpp"
#include "serving/engine_spec.hpp"

namespace orrery {

struct ExpertPaceAt {
    ExpertLoad load;                   // of the slowest rank
    double imbalance = 0;              // its rows over the mean rank's; 1: balanced
    double rows = 0, received = 0;     // of load, before rounding
    double dispatch = 0, combine = 0;  // s; low latency: in flight, without the kernels around it
    double kernel = 0;                 // s, low latency: each kernel that sends or receives
    double notify = 0;                 // s, normal: counts exchanged before
    double dispatch_bytes = 0, combine_bytes = 0;  // device memory read + written, B
    ExpertStages dispatch_stages, combine_stages;
    Origin origin = Origin::derived;
    ExpertPaceAt& operator+=(const ExpertPaceAt& other);
    ExpertPaceAt operator*(double factor) const;
};

class ExpertPace {
  public:
    ExpertPace(const EngineSpec& spec, const MoeSpec& moe, bool low_latency);
    // `tokens` of each attention group.
    ExpertPaceAt at(std::int64_t tokens);
    // Seconds longer in flight where one group has `fullest` times the others' tokens; 0 at 1.
    struct Longer {
        double dispatch = 0, combine = 0;
    };
    Longer uneven(const ExpertPaceAt& mean, double fullest) const;

  private:
    const ExpertPaceAt& drawn(std::int64_t tokens);
    const ExpertTraffic& traffic(std::int64_t layer, std::int64_t tokens);
    ExpertPaceAt draw(std::int64_t tokens);
    double imbalance_inside(std::int64_t tokens) const;
    void price(ExpertPaceAt& sum, const ExpertTraffic& traffic, double scale) const;
    double rows_of_slowest(const ExpertTraffic& traffic, double scale) const;

    const EngineSpec& spec_;
    MoeSpec moe_;
    InferencePlan plan_;  // with the layout of the mode
    bool low_latency_;
    std::optional<ExpertAllToAll> network_;  // where the plan has all-to-alls
    std::int64_t slots_;
    std::map<std::int64_t, ExpertPlacement> placements_;                      // by layer
    std::map<std::pair<std::int64_t, std::int64_t>, ExpertTraffic> traffic_;  // layer, tokens
    std::map<std::int64_t, ExpertPaceAt> known_;
};

// The plan with the experts' layout that goes with the all-to-all's mode.
InferencePlan plan_for(const InferencePlan& plan, bool low_latency);

}  // namespace orrery
