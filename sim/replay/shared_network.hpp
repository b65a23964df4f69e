#pragma once
// Communication that shares links: which links a collective of a group, or a message of a rank,
// loads while it moves, and how fast it would be alone.
//
//   A transfer of B bytes is one variable of the FlowNetwork: rate x, load on link l of c_l x, at
//   most `cap` (what it reaches alone), weight w. Alone it takes latency + B / cap.
//
// Coefficients are integers (2^-24), so that sums over members have no order and folded ranks add
// up to exactly what they are unfolded.

#include <cstdint>
#include <span>
#include <vector>

namespace orrery {

// Load on a link per byte of the transfer, in 2^-24.
struct LinkShare {
    std::uint32_t link = 0;
    std::int64_t units = 0;
};

// For each owner (a group, or a rank) the links that its transfer loads.
class LinkPattern {
  public:
    explicit LinkPattern(std::size_t owners) : shares_(owners) {}
    // Shares of one link add up. Coefficients of at least 2^-25.
    void add(std::size_t owner, std::uint32_t link, double coefficient);
    std::span<const LinkShare> of(std::size_t owner) const { return shares_[owner]; }
    std::size_t owners() const { return shares_.size(); }

  private:
    std::vector<std::vector<LinkShare>> shares_;  // by link
};

// What of a collective or message the links see; without a pattern it has links of its own.
inline constexpr std::uint32_t kNoPattern = UINT32_MAX;
struct SharedTransfer {
    std::uint32_t pattern = kNoPattern;
    std::uint32_t weight = 1;
    double bytes = 0;
    std::int64_t latency_ps = 0;  // of the duration: the rest is bytes / cap
};

struct SharedNetwork {
    std::vector<double> capacity;               // of each link, B/s
    std::vector<LinkPattern> group_patterns;    // owners: groups of kind `expert`
    std::vector<LinkPattern> message_patterns;  // owners: ranks; [pipeline rank sent to]
};

}  // namespace orrery
