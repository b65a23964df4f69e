// What a change of expert placement moves over the links.

#include <algorithm>

#include "core/error.hpp"
#include "model/eplb.hpp"

namespace orrery {

namespace {

std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

bool holds(const ExpertPlacement& placement, std::int32_t rank, std::int32_t expert) {
    const auto& slots = placement.replicas[index(expert)];
    return std::any_of(slots.begin(), slots.end(),
                       [&](std::int32_t slot) { return placement.rank_of(slot) == rank; });
}

struct Links {
    std::vector<std::int64_t> sent, received;
    explicit Links(std::int32_t ranks) : sent(index(ranks), 0), received(index(ranks), 0) {}
    std::int64_t most() const {
        return std::max(*std::max_element(sent.begin(), sent.end()),
                        *std::max_element(received.begin(), received.end()));
    }
};

class Mover {
  public:
    Mover(const ExpertPlacement& before, std::int32_t ranks_per_node)
        : before_(before), per_node_(ranks_per_node), nvlink_(before.ranks), nic_(before.ranks) {}

    void fetch(std::int32_t rank, std::int32_t expert) {
        std::int32_t best = -1;
        bool best_near = false;
        for (const std::int32_t slot : before_.replicas[index(expert)]) {
            const std::int32_t holder = before_.rank_of(slot);
            const bool near = holder / per_node_ == rank / per_node_;
            const auto& sent = near ? nvlink_.sent : nic_.sent;
            if (best < 0 || (near && !best_near) ||
                (near == best_near && sent[index(holder)] < sent[index(best)])) {
                best = holder;
                best_near = near;
            }
        }
        Links& links = best_near ? nvlink_ : nic_;
        ++links.sent[index(best)];
        ++links.received[index(rank)];
        ++cost_.moved;
        cost_.over_nic += best_near ? 0 : 1;
    }
    RebalanceCost cost() {
        cost_.most_nvlink = nvlink_.most();
        cost_.most_nic = nic_.most();
        return cost_;
    }

  private:
    const ExpertPlacement& before_;
    std::int32_t per_node_;
    Links nvlink_, nic_;
    RebalanceCost cost_;
};

}  // namespace

Seconds RebalanceCost::time(Bytes expert, BytesPerSecond nvlink, BytesPerSecond nic) const {
    return std::max(expert * static_cast<double>(most_nvlink) / nvlink,
                    expert * static_cast<double>(most_nic) / nic);
}

RebalanceCost rebalance_cost(const ExpertPlacement& before, const ExpertPlacement& after,
                             std::int32_t ranks_per_node) {
    if (before.experts != after.experts || before.ranks != after.ranks) {
        throw InputError("rebalancing: both placements must have the same experts and ranks");
    }
    if (ranks_per_node < 1) throw InputError("rebalancing: ranks per node must be at least 1");
    Mover mover(before, ranks_per_node);
    for (std::int32_t rank = 0; rank < after.ranks; ++rank) {
        std::vector<std::int32_t> wanted(
            after.slot_expert.begin() + rank * after.slots_per_rank(),
            after.slot_expert.begin() + (rank + 1) * after.slots_per_rank());
        std::sort(wanted.begin(), wanted.end());
        wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
        for (const std::int32_t expert : wanted) {
            if (!holds(before, rank, expert)) mover.fetch(rank, expert);
        }
    }
    return mover.cost();
}

}  // namespace orrery
