#pragma once
// A deployment: pools of engines, how requests find one, how KV moves between them, what fails and
// how the number of engines follows the load.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/quantity.hpp"
#include "network/routed_network.hpp"
#include "serving/attention_group.hpp"
#include "serving/deployment.hpp"
#include "serving/serving_result.hpp"
#include "serving/startup.hpp"

namespace orrery {

// Any IterationTimer, not owned: one indirect call.
class AnyTimer {
  public:
    AnyTimer() = default;
    template <IterationTimer T>
    requires(!std::same_as<T, AnyTimer>) explicit AnyTimer(T& timer)
        : object_(&timer),
          time_([](void* object, const EngineIteration& iteration) {
              return static_cast<T*>(object)->time(iteration);
          }),
          own_time_([](void* object, const Iteration& group, bool prompts) {
              return static_cast<T*>(object)->own_time(group, prompts);
          }) {}
    SimDuration time(const EngineIteration& iteration) const { return time_(object_, iteration); }
    SimDuration own_time(const Iteration& group, bool prompts) const {
        return own_time_(object_, group, prompts);
    }

  private:
    void* object_ = nullptr;
    SimDuration (*time_)(void*, const EngineIteration&) = nullptr;
    SimDuration (*own_time_)(void*, const Iteration&, bool) = nullptr;
};

// round_robin   one after the other
// least_loaded  fewest tokens waiting and in the KV cache
// prefix_aware  the longest leading part of the prompt in its caches, if that is at least
//               `cache_threshold` of the prompt and its load is at most `imbalance` times the
//               least load plus the prompt; else least_loaded
// kv_aware      the least  overlap_weight x (prompt - hit) + load, in tokens
enum class RouterKind : std::uint8_t { round_robin, least_loaded, prefix_aware, kv_aware };
struct Router {
    RouterKind kind = RouterKind::least_loaded;
    double cache_threshold = 0.5;
    double imbalance = 1.5;
    double overlap_weight = 1;
};

// Which attention group of an engine takes a request.
enum class GroupBalance : std::uint8_t { round_robin, least_tokens };

// Every `interval`, a pool in which more than `waiting_above` requests wait for each engine that is
// up or starting starts one more, which serves after PoolSpec::startup; one in which none wait and
// whose KV use is below `use_below` drains one.
struct Autoscale {
    bool on = false;
    std::int64_t least = 1, most = 1;  // engines
    SimDuration interval = {};
    double waiting_above = 4;
    double use_below = 0.3;
};

struct PoolSpec {
    std::string name = {};
    EngineRole role = EngineRole::mixed;
    std::int64_t engines = 1;  // at the start
    std::int64_t groups = 1;   // attention groups an engine, stepping together
    // Batches under way at once in an engine of several pipeline stages: each is an engine of its
    // own here, with its share of the KV cache (already in `group`) and the time of all stages.
    std::int64_t lanes = 1;
    std::int64_t gpus_per_engine = 1;
    std::int64_t gpus_per_group = 1;  // that send and receive KV
    std::uint32_t first_rank = 0;     // on the network, of the pool's first engine
    GroupSpec group = {};
    Router router = {};
    GroupBalance balance = GroupBalance::least_tokens;
    AnyTimer timer = {};
    Autoscale autoscale = {};
    Startup startup = {};  // of an engine that autoscaling starts, or that was repaired
};

// A sequence's KV after its prompt. A place in a decode engine is reserved first; without one the
// sequence keeps its memory where it is and waits, first come first served.
//   whole        all of it is sent after the first token
//   layer_wise   sent while the last chunk of the prompt is computed: all layers but the last from
//                the moment the first one is done, the last one at the end; where no place was free
//                when the chunk began, whole
// Left out: KV of earlier chunks could have been sent before; a message whose destination has
// failed keeps its sender busy to its end.
struct HandoffSpec {
    bool layer_wise = false;
    std::int64_t layers = 1;
    double bytes_per_token = 0;
    // Between ranks of a network that flows share; null: each attention group sends one sequence
    // after the other at `bandwidth`, and nobody is in the way.
    RoutedNetwork* network = nullptr;
    BytesPerSecond bandwidth = BytesPerSecond(1e15);
    SimDuration latency = {};
};

struct Failure {
    std::int64_t pool = 0, engine = 0;
    SimTime at = {};
};
struct FailureSpec {
    std::vector<Failure> given = {};
    double mean_seconds_between = 0;  // of one engine, exponential; 0: none drawn
    SimDuration repair = {};          // until the engine starts again
    SimDuration detection = {};       // until its requests are sent elsewhere
    std::int64_t most_retries = 10;   // of one request
    std::uint64_t seed = 1;
};

struct ClusterSpec {
    std::vector<PoolSpec> pools = {};
    HandoffSpec handoff = {};
    FailureSpec failures = {};
    ServiceLevel slo = {};
    std::int64_t most_waiting = 1'000'000;  // requests; more are turned away
    SimTime time_limit = SimTime{INT64_MAX};
    bool reverse_ties = false;  // tests: the order of events at one time must not matter
    bool check = false;         // tests: sums are verified after every event
    std::function<bool(SimTime)> poll = {};  // false stops the run
};

// Throws InputError where pools do not fit together, and what the stream throws.
ServingResult simulate_serving(const ClusterSpec& spec, const RequestStream& requests);

}  // namespace orrery
