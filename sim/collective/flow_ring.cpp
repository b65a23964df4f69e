// Rings of ranks. Ring c enters a node at GPU c or c - 1 in turn and leaves it at the other, so
// that neighbouring nodes are joined by NICs of equal index.

#include <algorithm>
#include <cmath>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"

namespace orrery {
namespace {

class Rings {
  public:
    Rings(const FlowCollectiveRequest& request)
        : ranks_(request.ranks),
          local_(request.ranks % request.ranks_per_node == 0 ? request.ranks_per_node : 1),
          steps_((ranks_ - 1) * (request.kind == FlowCollective::all_reduce ? 2 : 1)),
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
        const std::uint32_t ring = at / ranks_, place = at % ranks_;
        const std::uint32_t node = place / local_, i = place % local_;
        // Upwards from `ring` in even nodes; downwards from ring - 1 in odd ones.
        const std::uint32_t gpu = node % 2 == 0 ? ring + i : ring + local_ - 1 - i;
        return node * local_ + gpu % local_;
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
