#pragma once
// Flows that share links: latency first, then a max-min fair share (max_min.hpp) until the bytes
// are through.
//
//   Flow f: B_f bytes over a route of links with coefficients, weight w_f, perhaps a cap.
//     t_f = start + latency              sharing begins
//     rate_f(t) = w_f x(t),  x max-min   constant between two events of the touched component
//     B_f = integral of rate_f from t_f to the completion
//
//   Flows with equal route, weight and cap form one variable of weight n w. All flows with the same
//   bottleneck l rise at the same level y_l, so l keeps one meter V_l = integral of y_l dt and a
//   flow that needs B_f / w_f more ends when V_l has grown by as much: a change of y_l moves every
//   completion on l without touching a flow. A flow whose bottleneck changes takes what it still
//   needs along.
//
// Units: time in integer ps; levels in 1/1024 byte/s; meters, exact, in 128-bit integers of
// level x ps = 2^-10 10^-12 byte. A completion is rounded up to the next ps.
//
// A link of kind cap_only ("fat pipe") bounds each flow by capacity / coefficient and is not
// shared.
//
// Left out: packets, queues, losses, congestion control's transients; a flow has its fair share at
// once. The network never calls the simulator: it answers "when next?" and "advance to now".

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/id.hpp"
#include "core/quantity.hpp"
#include "core/time.hpp"
#include "network/max_min.hpp"

namespace orrery {

using LinkId = Id<struct LinkTag>;
using FlowId = Id<struct FlowTag>;  // used again once the flow has completed

enum class LinkKind : std::uint8_t { shared, cap_only };

// How a flow uses a link: load on the link per byte of the flow, 2^-24 ... 255.
struct RouteHop {
    LinkId link;
    double coefficient = 1.0;
};

struct Flow {
    std::span<const RouteHop> route;  // a link named twice counts twice; read during start() only
    Bytes bytes;                      // rounded to whole bytes
    SimDuration latency = {};
    std::uint32_t weight = 1;                // 1 ... 65535
    std::optional<BytesPerSecond> cap = {};  // of this flow
    std::uint64_t tag = 0;                   // handed back on completion
};

struct Completion {
    std::uint64_t tag;
    FlowId flow;
};

struct FlowCounts {
    std::int64_t flows = 0;  // started
    std::int64_t completed = 0;
    std::int64_t variables = 0;   // sets of flows with equal route, weight and cap
    std::int64_t solves = 0;      // components filled
    std::int64_t remembered = 0;  // components known from before
};

class FlowNetwork {
  public:
    // Capacity must be at least 1 byte/s and below 8e15 byte/s, else InputError naming `name`.
    LinkId add_link(BytesPerSecond capacity, LinkKind kind = LinkKind::shared,
                    std::string_view name = "link");
    std::size_t links() const { return links_.size(); }
    BytesPerSecond capacity(LinkId link) const;

    // `now`: not before the last call's, and nothing may be due before it (std::logic_error).
    // Throws InputError for an unknown link, a coefficient or weight out of range, a route without
    // any limit, negative bytes.
    FlowId start(const Flow& flow, SimTime now);
    // When advance_to has something to do next: a flow completes, or its latency ends. nullopt:
    // nothing is under way. Solves what has changed since the last call.
    std::optional<SimTime> next_completion();
    // Moves to `now`, at most next_completion() (std::logic_error), and returns what completes
    // then, in no particular order. Valid until the next call.
    std::span<const Completion> advance_to(SimTime now);

    SimTime now() const { return SimTime{now_ps_}; }
    // What the flow gets now: 0 while its latency lasts.
    BytesPerSecond rate(FlowId flow);
    // Not through yet at now(), in whole bytes rounded up.
    Bytes left(FlowId flow);
    FlowCounts counts() const;

  private:
    using Meter = int128;
    struct Link {
        std::int64_t capacity;  // 1/1024 byte/s
        LinkKind kind;
        std::uint32_t bottleneck;  // MaxMin's number of a shared link
    };
    // A bottleneck of MaxMin, link or cap, with the variables that wait on its meter.
    struct Group {
        Meter meter = 0;         // at since_ps
        std::int64_t level = 0;  // at which it rises
        std::int64_t since_ps = 0;
        std::int64_t next_ps = kUnbounded;     // its first completion
        std::uint32_t place = kNoIndex;        // in order_
        std::vector<std::uint32_t> heap = {};  // variables, by Variable::meter
    };
    // A variable's flows beyond the first to complete: a heap of (target, flow).
    struct Crowd {
        Meter offset = 0;  // target - offset = meter of the variable's group
        std::vector<std::pair<Meter, std::uint32_t>> heap = {};
    };
    struct Variable {
        Meter meter = 0;                 // of its group when its first flow completes
        std::uint32_t flow = kNoIndex;   // that flow; of one without flows, the next in forgotten_
        std::uint32_t crowd = kNoIndex;  // in crowds_, where there are others
        std::uint32_t place = kNoIndex;  // in its group's heap
        std::uint32_t weight = 1;        // of one flow
        std::uint32_t flows = 0;         // that refer to it
        std::uint32_t active = 0;        // of them, past their latency
    };
    struct FlowState {
        std::uint64_t tag;
        std::int64_t bytes;
        std::uint32_t variable;  // kNoIndex: completed
        std::uint32_t next;      // of a chain of waiting or unused flows; kSharing past its latency
    };
    struct Named {
        std::uint32_t hash = 0;  // low bits of the variable's identity
        std::uint32_t variable = kNoIndex;
    };
    static constexpr std::uint32_t kSharing = kNoIndex - 1;
    struct Chain {  // of flows whose latency ends together
        std::uint32_t first, last;
    };

    void move_to(SimTime now, const char* what);
    void read_route(const Flow& flow);
    void order_route();
    std::uint32_t cap_number(std::int64_t level);
    std::uint32_t variable_of(std::uint32_t weight);
    std::size_t table_place(std::uint64_t identity, std::uint32_t weight) const;
    void grow_table();
    void forget_variables();
    void take_from_table(std::uint32_t variable);
    std::uint32_t take_flow(const Flow& flow, std::int64_t bytes);
    void wait(std::uint32_t flow, std::int64_t until_ps);

    void begin_sharing();
    void begin_sharing(std::uint32_t flow);
    void join_crowd(std::uint32_t variable, std::uint32_t flow, Meter target);
    void complete_due();
    void complete_first(std::uint32_t variable);
    void complete(std::uint32_t flow);
    void settle();
    void bring_up(Group& group);
    void change_group(std::uint32_t variable, std::uint32_t from, std::uint32_t to);
    void predict(std::uint32_t group);
    void add_to_group(std::uint32_t group, std::uint32_t variable);
    const FlowState& state(FlowId flow) const;

    MaxMin sharing_;
    std::vector<Link> links_;
    std::map<std::int64_t, std::uint32_t> caps_;  // level -> MaxMin's number
    std::vector<Group> groups_;                   // by MaxMin's number
    std::vector<std::uint32_t> order_;            // heap of groups, by next_ps
    std::vector<Variable> variables_;             // by MaxMin's number
    std::vector<Named> table_;                    // hash table, open addressing
    std::size_t table_used_ = 0;
    std::uint32_t forgotten_ = kNoIndex;  // chain of variables without flows, still in the table
    std::size_t forgotten_count_ = 0;
    std::vector<Crowd> crowds_;
    std::vector<std::uint32_t> free_crowds_;
    std::vector<FlowState> flows_;
    std::uint32_t free_flow_ = kNoIndex;
    std::map<std::int64_t, Chain> waiting_;  // by the time at which the latency ends, ps
    std::int64_t last_wait_ps_ = -1;         // of last_chain_
    Chain* last_chain_ = nullptr;
    std::vector<Completion> completions_;
    std::int64_t now_ps_ = 0;
    FlowCounts counts_;

    // Of the flow being started.
    std::vector<LinkUse> route_;
    std::uint32_t cap_ = kNoIndex;
    std::uint64_t identity_ = 0;
};

}  // namespace orrery
