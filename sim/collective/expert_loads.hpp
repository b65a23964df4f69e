#pragma once
// What each rank's links carry in an expert all-to-all, in tokens.

#include <cstdint>
#include <vector>

#include "hardware/expert_traffic.hpp"

namespace orrery {

struct LinkLoad {
    std::vector<std::int64_t> sent, received;  // by each rank
    explicit LinkLoad(std::int32_t ranks)
        : sent(static_cast<std::size_t>(ranks), 0), received(static_cast<std::size_t>(ranks), 0) {}
    // The larger of both directions.
    std::int64_t of(std::size_t rank) const;
    std::int64_t most() const;
};

// Normal mode: through NICs to the rank of the same index, then over NVLink.
struct ForwardedLoads {
    LinkLoad nic, nvlink;
    std::vector<std::int64_t>
        forwarded;  // copies each rank hands to ranks of its node, own included
};
ForwardedLoads forwarded_loads(const ExpertTraffic& traffic);

// Low latency: every (token, expert) pair straight to its rank; what stays on a rank moves on no
// link. `everywhere`: RDMA to the ranks of the node, too.
struct DirectLoads {
    LinkLoad nic, nvlink;
};
DirectLoads direct_loads(const ExpertTraffic& traffic, bool everywhere);

}  // namespace orrery
