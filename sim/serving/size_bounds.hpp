#pragma once
// How few engines of each pool could keep a promise at all, in closed form: what a search need not
// replay. A size below a bound cannot keep the promise; one above it may still not.
//
//   capacity   At most v requests may miss their objectives. All others that arrive in [s, x] and
//              have to be through by x are computed in that time, so
//                engines x groups x lanes x (x - s) >= least time of their work (work_prices.hpp)
//              for every window [s, x]; the v dearest requests are left out of it. Prompts have to
//              be through by arrival + TTFT (or e2e); whole requests by arrival + e2e or
//              arrival + TTFT + TPOT x (output - 1).
//   latency    An iteration that computes nothing but the request's own prompt, from the tokens no
//              cache holds, is the shortest to its first token; one that decodes it alone the
//              shortest between two tokens. Where more than v requests need longer than promised,
//              no number of engines helps. It takes that an iteration which computes more does not
//              end sooner.
//   fits       Nor does it help a request that no attention group's KV cache has room for.
//
// Each kind of work is bounded where one pool alone does it; pools that share it get no capacity
// bound, and neither do closed loops, whose load follows the size.

#include <string>
#include <vector>

#include "serving/offered_work.hpp"
#include "serving/service_promise.hpp"
#include "serving/work_prices.hpp"

namespace orrery {

struct SizeBound {
    std::size_t pool = 0;
    std::string work;         // "prompts", "decode steps", "prompts and decode steps"
    double busy_seconds = 0;  // least time of the work, on one engine
    double window = 0;        // s, in which it has to be done
    double engines() const { return busy_seconds / window; }
};

struct SizeBounds {
    std::vector<std::int64_t> least;  // engines, by pool, >= 1
    std::vector<SizeBound> bounds;    // the highest of each kind of work
    std::string impossible;           // why no size keeps the promise; else empty
    std::int64_t requests = 0;        // of the workload; 0: a closed loop
};

SizeBounds bound_sizes(const ClusterSpec& spec, const ServicePromise& promise,
                       const std::function<RequestStream()>& open);

}  // namespace orrery
