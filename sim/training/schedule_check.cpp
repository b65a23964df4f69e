#include "training/schedule_check.hpp"

#include <array>
#include <vector>

#include <fmt/format.h>

#include "core/error.hpp"
#include "training/schedule_walk.hpp"

namespace orrery {

namespace {

using Problem = std::optional<std::string>;

std::string place(const PipelineSchedule& schedule, int rank, std::size_t position) {
    const Action& action = schedule.actions[static_cast<std::size_t>(rank)][position];
    return fmt::format("rank {}, action {} ({})", rank, position, describe(action));
}

Problem shape_problem(const PipelineSchedule& schedule) {
    if (schedule.ranks < 1 || schedule.stages < 1 || schedule.micro_batches < 1) {
        return fmt::format("{} ranks, {} stages, {} micro-batches: each must be >= 1",
                           schedule.ranks, schedule.stages, schedule.micro_batches);
    }
    if (schedule.actions.size() != static_cast<std::size_t>(schedule.ranks)) {
        return fmt::format("{} lists of actions for {} ranks", schedule.actions.size(),
                           schedule.ranks);
    }
    if (schedule.directions() != 1 && schedule.directions() != 2) {
        return fmt::format("{} directions: must be 1 or 2", schedule.directions());
    }
    for (const std::vector<int>& placement : schedule.stage_rank) {
        if (placement.size() != static_cast<std::size_t>(schedule.stages)) {
            return fmt::format("{} stages placed of {}", placement.size(), schedule.stages);
        }
        for (const int rank : placement) {
            if (rank < 0 || rank >= schedule.ranks) {
                return fmt::format("a stage is placed on rank {} of {}", rank, schedule.ranks);
            }
        }
    }
    return std::nullopt;
}

// Marks what was run; one byte a (micro-batch, stage) with one bit each for F, I and W.
class Tally {
  public:
    explicit Tally(const PipelineSchedule& schedule)
        : schedule_(schedule),
          seen_(static_cast<std::size_t>(schedule.micro_batches) *
                static_cast<std::size_t>(schedule.stages)) {}

    // What is wrong with this half of an action, in words.
    Problem mark(int rank, std::string_view passes, int micro_batch, int stage) {
        if (micro_batch < 0 || micro_batch >= schedule_.micro_batches) {
            return fmt::format("micro-batch {} of {}", micro_batch, schedule_.micro_batches);
        }
        if (stage < 0 || stage >= schedule_.stages) {
            return fmt::format("stage {} of {}", stage, schedule_.stages);
        }
        if (const int home = schedule_.rank_of(micro_batch, stage); home != rank) {
            return fmt::format("stage {} of micro-batch {} belongs to rank {}", stage, micro_batch,
                               home);
        }
        std::uint8_t& seen = seen_[index(micro_batch, stage)];
        for (const char pass : passes) {
            const auto bit = static_cast<std::uint8_t>(pass == 'F' ? 1 : pass == 'I' ? 2 : 4);
            if ((seen & bit) != 0) {
                return fmt::format("{} of micro-batch {} on stage {} runs a second time", pass,
                                   micro_batch, stage);
            }
            seen |= bit;
        }
        return std::nullopt;
    }

    Problem missing() const {
        for (int m = 0; m < schedule_.micro_batches; ++m) {
            for (int s = 0; s < schedule_.stages; ++s) {
                const std::uint8_t seen = seen_[index(m, s)];
                if (seen == 7) continue;
                const char pass = (seen & 1) == 0 ? 'F' : (seen & 2) == 0 ? 'I' : 'W';
                return fmt::format("rank {}: {} of micro-batch {} on stage {} never runs",
                                   schedule_.rank_of(m, s), pass, m, s);
            }
        }
        return std::nullopt;
    }

  private:
    std::size_t index(int micro_batch, int stage) const {
        return static_cast<std::size_t>(micro_batch) * static_cast<std::size_t>(schedule_.stages) +
               static_cast<std::size_t>(stage);
    }
    const PipelineSchedule& schedule_;
    std::vector<std::uint8_t> seen_;
};

Problem pass_problem(const PipelineSchedule& schedule) {
    Tally tally(schedule);
    for (int rank = 0; rank < schedule.ranks; ++rank) {
        const std::vector<Action>& list = schedule.actions[static_cast<std::size_t>(rank)];
        for (std::size_t at = 0; at < list.size(); ++at) {
            const Action& action = list[at];
            Problem problem;
            if (has_forward(action.kind)) {
                problem = tally.mark(rank, "F", action.micro_batch, action.stage);
            }
            if (!problem && action.kind != ActionKind::forward) {
                const std::string_view passes = !has_backward_input(action.kind)    ? "W"
                                                : !has_backward_weight(action.kind) ? "I"
                                                                                    : "IW";
                problem =
                    tally.mark(rank, passes, action.backward_micro_batch, action.backward_stage);
            }
            if (problem) return fmt::format("{}: {}", place(schedule, rank, at), *problem);
        }
    }
    return tally.missing();
}

Problem order_problem(const PipelineSchedule& schedule) {
    const auto blocked = walk_schedule(schedule, [](int, std::size_t) {});
    if (!blocked) return std::nullopt;
    const PassOutput& output = blocked->waits_for;
    const int source = schedule.rank_of(output.micro_batch, output.stage);
    return fmt::format("{}: waits for {} of micro-batch {} on stage {}, which {}",
                       place(schedule, blocked->rank, blocked->position),
                       output.backward ? "I" : "F", output.micro_batch, output.stage,
                       source == blocked->rank
                           ? "comes later on the same rank"
                           : fmt::format("rank {} never reaches (deadlock)", source));
}

}  // namespace

std::optional<std::string> find_schedule_error(const PipelineSchedule& schedule) {
    if (auto problem = shape_problem(schedule)) return problem;
    if (auto problem = pass_problem(schedule)) return problem;
    return order_problem(schedule);
}

void check_schedule(const PipelineSchedule& schedule) {
    if (const auto problem = find_schedule_error(schedule)) {
        throw InputError(fmt::format("schedule {}: {}", schedule.name, *problem));
    }
}

}  // namespace orrery
