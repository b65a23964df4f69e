// Double binary tree over all ranks as messages: each tree carries half of the buffer in chunks; a
// chunk goes up once it has come from all children, and down again from the root.

#include <algorithm>
#include <cmath>
#include <vector>

#include "collective/flow_algorithms.hpp"
#include "collective/flow_runner.hpp"
#include "collective/rank_order.hpp"

namespace orrery {
namespace {

constexpr double kChunk = 4194304;  // bytes; at most kMostChunks of them
constexpr std::uint32_t kMostChunks = 32;

class Trees {
  public:
    Trees(std::uint32_t ranks, double bytes)
        : ranks_(ranks),
          chunks_(static_cast<std::uint32_t>(
              std::clamp(std::floor(bytes / 2 / kChunk), 1.0, double{kMostChunks}))),
          bytes_(std::max<std::int64_t>(1, std::llround(bytes / 2 / chunks_))),
          places_(std::size_t{2} * ranks) {
        for (std::uint32_t at = 0; at < places_.size(); ++at) {
            const std::uint32_t tree = at / ranks_, rank = at % ranks_;
            const auto parent =
                tree == 0 ? tree_parent(rank, ranks_) : second_tree_parent(rank, ranks_);
            if (!parent) continue;
            places_[at].parent = tree * ranks_ + *parent;
            places_[places_[at].parent].children.push_back({at});
        }
    }

    template <class Send>
    void begin(Send send) {
        for (std::uint32_t at = 0; at < places_.size(); ++at) go_on(at, send);
    }
    // The message on the edge above a place (tag: place, and whether down) is through.
    template <class Send>
    void arrived(std::uint64_t tag, Send send) {
        const auto below = static_cast<std::uint32_t>(tag >> 1);
        const std::uint32_t above = places_[below].parent;
        if (tag % 2 == 0) {
            ++places_[below].up_sent;
        } else {
            ++places_[below].down_received;
        }
        go_on(below, send);
        go_on(above, send);
    }

  private:
    static constexpr std::uint32_t kRoot = 0xffffffffu;
    struct Child {
        std::uint32_t at;
        std::uint32_t down_started = 0;  // chunks
    };
    struct Place {
        std::uint32_t parent = kRoot;
        std::uint32_t up_started = 0, up_sent = 0, down_received = 0;  // chunks
        std::vector<Child> children;
    };

    template <class Send>
    void go_on(std::uint32_t at, Send send) {
        Place& place = places_[at];
        std::uint32_t summed = chunks_;
        for (const Child& child : place.children) {
            summed = std::min(summed, places_[child.at].up_sent);
        }
        if (place.parent != kRoot && place.up_started < summed &&
            place.up_started == place.up_sent) {
            ++place.up_started;
            send(at % ranks_, place.parent % ranks_, bytes_, std::uint64_t{at} << 1);
        }
        const std::uint32_t done = place.parent == kRoot ? summed : place.down_received;
        for (Child& child : place.children) {
            if (child.down_started == done) continue;
            if (child.down_started > places_[child.at].down_received) continue;
            ++child.down_started;
            send(at % ranks_, child.at % ranks_, bytes_, (std::uint64_t{child.at} << 1) + 1);
        }
    }

    std::uint32_t ranks_, chunks_;
    std::int64_t bytes_;         // of a chunk
    std::vector<Place> places_;  // tree * ranks + rank
};

}  // namespace

SimDuration run_tree(RoutedNetwork& network, const FlowCollectiveRequest& request) {
    Trees trees(request.ranks, request.bytes.value());
    return run_messages(network, trees);
}

}  // namespace orrery
