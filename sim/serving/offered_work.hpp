#pragma once
// What a workload asks of a deployment, whatever its size: the least that has to be computed for
// each request.
//
//   c      prompt tokens that no cache can hold: prompt - min(stored, prompt - 1), or, where blocks
//          are shared, what lies behind the leading blocks that an earlier request names too
//   pairs  c (prompt - c) + c (c + 1) / 2, keys that those tokens attend to
//   s      (output - 1) / tokens a step, decode steps behind the first token
//   k      s prompt + (output - 1) (s - 1) / 2, context read over all steps
//
// Why c is a bound in sum: a block is in a cache only after a request that names it has computed
// it, and the first request to name it arrives before all others that do. The caches are taken to
// be without limit, shared by all engines, and as fast as memory. Steps are taken at their mean.

#include <functional>

#include "serving/cluster_spec.hpp"

namespace orrery {

struct RequestWork {
    double arrival = 0;      // s
    double prompt = 0;       // tokens
    double output = 0;       // tokens
    double fresh = 0;        // c
    double fresh_pairs = 0;  // pairs of c
    // The same if no other request's blocks are found, which bounds it from above; and the tokens
    // that no cache can hold even if every block is found.
    double most = 0, most_pairs = 0, least = 0;
    double steps = 0;    // s
    double context = 0;  // k
    bool fits = true;    // into the KV cache of some attention group of each kind it needs
};

// Calls `visit` for each request of the stream that `open` gives, in order. Of a closed loop only
// the first request of each user is known.
void for_each_request(const ClusterSpec& spec, const std::function<RequestStream()>& open,
                      const std::function<void(const RequestWork&)>& visit);

}  // namespace orrery
