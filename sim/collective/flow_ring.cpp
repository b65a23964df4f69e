// Rings of ranks, in the order of rank_order.hpp.

#include <algorithm>
#include <cmath>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"
#include "collective/rank_order.hpp"

namespace orrery {
namespace {

class Rings {
  public:
    Rings(const FlowCollectiveRequest& request)
        : ranks_(request.ranks),
          local_(request.ranks % request.ranks_per_node == 0 ? request.ranks_per_node : 1),
          steps_(ring_steps(request.kind, request.ranks)),
          chunk_(std::max<std::int64_t>(
              1, std::llround(request.bytes.value() / ranks_ / static_cast<double>(local_)))),
          places_(std::size_t{ranks_} * local_) {}

    template <class Send>
    void begin(Send send) {
        for (std::uint32_t at = 0; at < places_.size(); ++at) try_send(at, send);
    }
    // The message of that place has come to the next place of its ring.
    template <class Send>
    void arrived(std::uint64_t tag, Send send) {
        const auto at = static_cast<std::uint32_t>(tag);
        const std::uint32_t after = next(at);
        ++places_[at].sent;
        ++places_[after].received;
        try_send(at, send);
        try_send(after, send);
    }

  private:
    struct Place {
        std::uint32_t started = 0, sent = 0, received = 0;  // steps
    };

    std::uint32_t next(std::uint32_t at) const {
        return at % ranks_ + 1 < ranks_ ? at + 1 : at + 1 - ranks_;
    }
    std::uint32_t rank_at(std::uint32_t at) const {
        return ring_rank(at / ranks_, at % ranks_, local_);
    }
    template <class Send>
    void try_send(std::uint32_t at, Send send) {
        Place& place = places_[at];
        const bool has_chunk = place.started == 0 || place.received >= place.started;
        if (place.started == steps_ || place.started > place.sent || !has_chunk) return;
        ++place.started;
        send(rank_at(at), rank_at(next(at)), chunk_, at);
    }

    std::uint32_t ranks_, local_, steps_;
    std::int64_t chunk_;
    std::vector<Place> places_;  // ring * ranks + place
};

}  // namespace

SimDuration run_ring(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    Rings rings(request);
    return run_messages(network, rings);
}

}  // namespace orrery
