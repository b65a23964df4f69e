#include "training/schedule_walk.hpp"

#include <vector>

namespace orrery {

namespace {

class Walk {
  public:
    Walk(const PipelineSchedule& schedule, const std::function<void(int, std::size_t)>& visit)
        : schedule_(schedule),
          visit_(visit),
          done_(2 * static_cast<std::size_t>(schedule.micro_batches) *
                static_cast<std::size_t>(schedule.stages)),
          next_(static_cast<std::size_t>(schedule.ranks)),
          queued_(static_cast<std::size_t>(schedule.ranks), true) {
        for (int rank = schedule.ranks - 1; rank >= 0; --rank) ready_.push_back(rank);
    }

    std::optional<BlockedAction> run() {
        while (!ready_.empty()) {
            const int rank = ready_.back();
            ready_.pop_back();
            queued_[static_cast<std::size_t>(rank)] = false;
            advance(rank);
        }
        return blocked();
    }

  private:
    const std::vector<Action>& actions(int rank) const {
        return schedule_.actions[static_cast<std::size_t>(rank)];
    }
    std::size_t& next(int rank) { return next_[static_cast<std::size_t>(rank)]; }

    std::optional<PassOutput> missing(const Action& action) const {
        std::optional<PassOutput> first;
        for_each_input(action, schedule_.stages, [&](const PassOutput& output) {
            if (!first && !done_[output_index(output, schedule_)]) first = output;
        });
        return first;
    }

    // Runs this rank until it blocks; ranks that were waiting for what it produced get a turn.
    void advance(int rank) {
        const std::vector<Action>& list = actions(rank);
        for (std::size_t& at = next(rank); at < list.size(); ++at) {
            if (missing(list[at])) return;
            visit_(rank, at);
            for_each_output(list[at], [&](const PassOutput& output) {
                done_[output_index(output, schedule_)] = true;
                const int consumer = output.stage + (output.backward ? -1 : 1);
                if (consumer < 0 || consumer >= schedule_.stages) return;
                const int other = schedule_.rank_of(output.micro_batch, consumer);
                if (other == rank || queued_[static_cast<std::size_t>(other)]) return;
                queued_[static_cast<std::size_t>(other)] = true;
                ready_.push_back(other);
            });
        }
    }

    std::optional<BlockedAction> blocked() {
        std::optional<BlockedAction> found;
        for (int rank = 0; rank < schedule_.ranks; ++rank) {
            const std::size_t at = next(rank);
            if (at == actions(rank).size()) continue;
            const PassOutput output = *missing(actions(rank)[at]);
            const bool own = schedule_.rank_of(output.micro_batch, output.stage) == rank;
            if (!found || own) found = BlockedAction{rank, at, output};
            if (own) break;
        }
        return found;
    }

    const PipelineSchedule& schedule_;
    const std::function<void(int, std::size_t)>& visit_;
    std::vector<bool> done_;         // [output_index]
    std::vector<std::size_t> next_;  // [rank] position of the first action not yet run
    std::vector<bool> queued_;       // [rank] is in ready_
    std::vector<int> ready_;         // ranks that may be able to go on
};

}  // namespace

std::optional<BlockedAction> walk_schedule(const PipelineSchedule& schedule,
                                           const std::function<void(int, std::size_t)>& visit) {
    return Walk(schedule, visit).run();
}

}  // namespace orrery
