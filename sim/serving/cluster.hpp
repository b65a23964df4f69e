#pragma once
// The simulation behind simulate_serving(): engines as state machines with one event an iteration.
// Events mark what is due; end_of_timestamp() works through it in order of engines and requests, so
// the order of events at one time does not matter.

#include <vector>

#include "des/fingerprint.hpp"
#include "des/simulator.hpp"
#include "serving/cluster_spec.hpp"

namespace orrery {

class Cluster {
  public:
    Cluster(const ClusterSpec& spec, const RequestStream& requests);
    ServingResult run();

    // For the simulator.
    void handle(const Event& event);
    bool end_of_timestamp();

  private:
    enum class Kind : std::uint8_t {
        arrival,
        iteration,  // ends, at an engine
        wake,       // an engine's KV has come from a lower tier
        network,    // has something to do
        handoff,    // a sequence's KV is through (plain bandwidth)
        layers,     // the first layer of a sequence's last chunk is done
        retry,      // a sequence of a failed engine goes elsewhere
        failure,    // drawn; one of an engine that has failed since is dropped
        given_failure,
        recovery,
        scale,
        started
    };
    enum class State : std::uint8_t { off, starting, up, draining, failed };
    struct Engine {
        std::uint32_t pool = 0;
        State state = State::off;
        bool in_flight = false;  // an iteration is under way
        bool touched = false;    // in touched_
        std::uint32_t generation = 0;
        std::uint32_t next_group = 0;  // round robin
        std::int64_t iterations = 0;
        std::int64_t failures = 0;
        SimTime begun = {};
        double prompt_share = 0;                   // of the iteration's tokens
        SimTime held_since = {};                   // GPUs
        std::int64_t used_pages = 0, waiting = 0;  // as last counted in the pool's
        std::vector<AttentionGroup> groups = {};
        std::vector<SimTime> sending_until = {};  // by group; plain bandwidth
    };
    struct Pool {
        const PoolSpec* spec = nullptr;
        std::uint32_t first = 0, engines = 0;  // in engines_, those that may start included
        std::int64_t iterations = 0, busy_ps = 0;
        double prompt_ps = 0;  // of busy_ps, by tokens
        std::int64_t pages_at_start = 0;
        TimeSeries used_pages = {}, waiting = {}, held = {};
        SimTime store_free = {};  // of weights: the last engine that reads is through
    };
    struct Target {
        std::uint32_t engine = Sequence::kNone, group = 0;
    };

    SimTime now() const { return simulator_.now(); }
    AttentionGroup& group_of(const Sequence& s) { return engines_[s.engine].groups[s.group]; }
    void touch(std::uint32_t engine);

    // cluster.cpp
    void take_arrivals();
    void accept(const Request& request);
    void end_iterations();
    void read_report();
    void finish(std::uint32_t sequence);
    void begin_iterations();
    void begin(std::uint32_t engine);
    EngineIteration together(const Engine& engine) const;
    void count(Engine& engine);
    void check() const;
    ServingResult result();

    // cluster_route.cpp
    void route(std::uint32_t sequence, bool again);
    Target choose(const Sequence& s);
    Target round_robin();
    Target by_load_and_hit(const Sequence& s);
    std::int64_t load(const Engine& engine) const;
    std::uint32_t choose_group(Engine& engine) const;

    // cluster_handoff.cpp
    bool place(std::uint32_t sequence);
    void place_waiting();
    void send(std::uint32_t sequence, double share);
    void start_layer_wise(Engine& engine, SimTime end);
    void part_done(std::uint32_t sequence, std::uint32_t attempt);
    void advance_network();
    void schedule_network();
    void hand_over_done(std::uint32_t sequence);

    // cluster_engines.cpp
    void change_engines();
    void plan_failures();
    void plan_failure(std::uint32_t engine, SimTime from);
    void fail(std::uint32_t engine);
    void retry(std::uint32_t sequence);
    void restart(std::uint32_t engine);
    SimTime serves_at(std::uint32_t pool);
    void recover(std::uint32_t engine);
    void scale(std::uint32_t pool);
    void set_state(std::uint32_t engine, State state);
    void retire_if_idle(std::uint32_t engine);
    bool all_off(std::uint32_t first, std::uint32_t lanes) const;
    bool more_to_come() const;

    const ClusterSpec& spec_;
    const RequestStream& requests_;
    Simulator simulator_;
    SequencePool sequences_;
    GroupReport report_;
    std::vector<Engine> engines_;
    std::vector<Pool> pools_;
    std::vector<SimDuration> cpu_times_;  // by pool
    bool has_decode_ = false;

    std::optional<Request> next_request_;
    std::vector<std::uint64_t> next_blocks_;  // of next_request_
    // Of closed loops: requests that come after others have ended, by arrival (a heap).
    struct Later {
        SimTime at;
        std::int64_t order;
        Request request;
    };
    std::vector<Later> later_;
    std::int64_t later_count_ = 0;

    // Due at this timestamp.
    bool arrivals_due_ = false, network_due_ = false;
    std::vector<std::uint32_t> ended_, touched_, failing_, recovering_, starting_, scaling_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> handed_, layers_due_;  // sequence, attempt
    std::vector<std::pair<std::uint32_t, std::uint32_t>> retrying_;             // sequence, life
    std::vector<std::uint32_t> scratch_;
    std::vector<std::pair<std::int64_t, std::uint32_t>> by_load_;  // scratch

    // Sequences that wait for a place in a decode engine, and for an engine that is up.
    std::vector<std::uint32_t> placeless_, homeless_;
    std::size_t placeless_head_ = 0;
    std::uint32_t next_start_ = 0;  // round robin over the engines that requests start at
    bool place_blocked_ = false;    // the first in line found none, and nothing was freed since
    std::uint32_t attempts_ = 0;
    std::optional<SimTime> network_event_;

    std::int64_t waiting_ = 0, in_system_ = 0;
    TimeSeries waiting_series_, system_series_;
    ServingResult result_;
    Fingerprint fingerprint_;
};

}  // namespace orrery
