// How many places a token's experts reach under uniform, node-limited routing.
//
//   With M nodes drawn out of N, the experts of the M nodes number E' = M E/N. Of a token's k
//   experts, drawn without replacement, none lies among e given ones with probability
//     q(e) = C(E' - e, k) / C(E', k) = prod_{i<k} (E' - e - i) / (E' - i)
//   so a token reaches M (1 - q(E/N)) nodes and M R/N (1 - q(E/R)) ranks of R.

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "collective/communication_cost.hpp"
#include "core/error.hpp"

namespace orrery {

namespace {

double none_of(double share, double pool, std::int64_t draws) {
    double probability = 1;
    for (std::int64_t i = 0; i < draws; ++i) {
        const auto drawn = static_cast<double>(i);
        probability *= std::max(0.0, pool - share - drawn) / (pool - drawn);
    }
    return probability;
}

struct Pool {
    double nodes;    // a token may reach
    double experts;  // on them
};

Pool pool_of(std::int64_t nodes, std::int64_t top_k, std::int64_t experts,
             std::int64_t node_limit) {
    const std::int64_t reached = node_limit > 0 ? std::min(node_limit, nodes) : nodes;
    const double pool =
        static_cast<double>(experts) * static_cast<double>(reached) / static_cast<double>(nodes);
    if (top_k < 1 || static_cast<double>(top_k) > pool) {
        throw InputError(
            fmt::format("top_k = {}: must be 1 to {:g}, the experts on the {} of {} nodes that a "
                        "token may reach ({} experts spread evenly over the nodes, node limit {})",
                        top_k, pool, reached, nodes, experts,
                        node_limit > 0 ? std::to_string(node_limit) : "none"));
    }
    return {static_cast<double>(reached), pool};
}

}  // namespace

double expected_destination_nodes(std::int64_t nodes, std::int64_t top_k, std::int64_t experts,
                                  std::int64_t node_limit) {
    const Pool pool = pool_of(nodes, top_k, experts, node_limit);
    const double on_node = static_cast<double>(experts) / static_cast<double>(nodes);
    return pool.nodes * (1 - none_of(on_node, pool.experts, top_k));
}

double expected_destination_ranks(std::int64_t ranks, std::int64_t nodes, std::int64_t top_k,
                                  std::int64_t experts, std::int64_t node_limit) {
    const Pool pool = pool_of(nodes, top_k, experts, node_limit);
    const double per_node = static_cast<double>(ranks) / static_cast<double>(nodes);
    const double on_rank = static_cast<double>(experts) / static_cast<double>(ranks);
    return pool.nodes * per_node * (1 - none_of(on_rank, pool.experts, top_k));
}

}  // namespace orrery
