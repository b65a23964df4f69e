#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"
#include "core/error.hpp"

namespace orrery {
namespace {

class Doubling {
  public:
    Doubling(std::uint32_t ranks, std::int64_t bytes)
        : steps_(static_cast<std::uint32_t>(std::countr_zero(ranks))),
          bytes_(bytes),
          ranks_(ranks) {}

    template <class Send>
    void begin(Send send) {
        for (std::uint32_t i = 0; i < ranks_.size(); ++i) send(i, i ^ 1u, bytes_, i);
    }
    // A rank goes on once its message of the step is out and its partner's is in.
    template <class Send>
    void arrived(std::uint64_t tag, Send send) {
        const auto source = static_cast<std::uint32_t>(tag);
        const auto step = static_cast<std::uint32_t>(tag >> 32);
        for (const std::uint32_t i : {source, source ^ (1u << step)}) {
            ++ranks_[i];
            if (ranks_[i] != 2 * (step + 1) || step + 1 == steps_) continue;
            send(i, i ^ (2u << step), bytes_, (std::uint64_t{step + 1} << 32) + i);
        }
    }

  private:
    std::uint32_t steps_;
    std::int64_t bytes_;
    std::vector<std::uint32_t> ranks_;  // messages out and in, by rank
};

}  // namespace

SimDuration run_recursive_doubling(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    if (!std::has_single_bit(request.ranks)) {
        throw InputError(
            fmt::format("--ranks {}: recursive doubling needs a power of two", request.ranks));
    }
    Doubling doubling(request.ranks, std::llround(request.bytes.value()));
    return run_messages(network, doubling);
}

}  // namespace orrery
