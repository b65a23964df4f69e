#include "collective/collective_algorithm.hpp"

namespace orrery {

std::string_view to_string(FlowCollective kind) {
    constexpr std::string_view kNames[] = {"send_recv", "all_to_all", "all_gather",
                                           "reduce_scatter", "all_reduce"};
    return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(FlowAlgorithm algorithm) {
    constexpr std::string_view kNames[] = {"automatic",          "ring",         "tree",    "nvls",
                                           "recursive_doubling", "hierarchical", "pairwise"};
    return kNames[static_cast<std::size_t>(algorithm)];
}

std::string_view to_string(FlowProtocol protocol) {
    constexpr std::string_view kNames[] = {"none", "LL", "LL128", "Simple"};
    return kNames[static_cast<std::size_t>(protocol)];
}

}  // namespace orrery
