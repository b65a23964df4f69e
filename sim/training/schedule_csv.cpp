#include "training/schedule_csv.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

constexpr int kNumberLimit = 1'000'000;  // stages, micro-batches, ranks
constexpr int kNoRank = -1;              // inside stage tables under construction only

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\"";
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

// A cell without parentheses, in the file's numbering.
struct Cell {
    int stage = 0;
    std::string_view kind;
    std::optional<int> micro_batch;
};

class Reader {
  public:
    explicit Reader(std::string_view name) : name_(name) {}

    std::vector<std::vector<Action>> read(std::string_view text) {
        std::vector<std::string_view> lines = split(text, '\n');
        while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
        if (lines.empty()) throw InputError(fmt::format("{}: no schedule in this file", name_));
        if (lines.size() > kNumberLimit) {
            throw InputError(fmt::format("{}: {} lines: one line a rank, at most {}", name_,
                                         lines.size(), kNumberLimit));
        }
        std::vector<std::vector<Action>> actions;
        for (const std::string_view line : lines) {
            ++line_;
            actions.emplace_back();
            for (const std::string_view cell : split(line, ',')) {
                if (auto action = parse(trim(cell))) actions.back().push_back(*action);
            }
        }
        return actions;
    }

  private:
    [[noreturn]] void fail(std::string_view cell, std::string_view rule) const {
        throw InputError(fmt::format("{}: line {} = \"{}\": {}", name_, line_, cell, rule));
    }

    int number(std::string_view& rest, std::string_view cell) const {
        int value = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
        if (error != std::errc{} || value < 0 || value >= kNumberLimit) {
            fail(cell, fmt::format("must be stage, kind, micro-batch as in 2F0, numbers below {}",
                                   kNumberLimit));
        }
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        return value;
    }

    Cell parse_simple(std::string_view cell) const {
        std::string_view rest = cell;
        Cell parsed;
        parsed.stage = number(rest, cell);
        const std::size_t digits = std::min(rest.find_first_of("0123456789"), rest.size());
        parsed.kind = rest.substr(0, digits);
        rest.remove_prefix(digits);
        if (!rest.empty()) {
            parsed.micro_batch = number(rest, cell);
            if (!rest.empty()) fail(cell, "nothing may follow the micro-batch");
        }
        return parsed;
    }

    std::optional<Action> parse(std::string_view cell) const {
        if (cell.empty()) return std::nullopt;
        if (cell.front() == '(') return parse_overlapped(cell);
        const Cell parsed = parse_simple(cell);
        constexpr std::array<std::string_view, 7> communication{
            "UNSHARD", "RESHARD", "REDUCE_GRAD", "SEND_F", "RECV_F", "SEND_B", "RECV_B"};
        if (std::find(communication.begin(), communication.end(), parsed.kind) !=
            communication.end()) {
            return std::nullopt;
        }
        for (const ActionKind kind : {ActionKind::forward, ActionKind::backward,
                                      ActionKind::backward_input, ActionKind::backward_weight}) {
            if (parsed.kind != action_kind_name(kind)) continue;
            if (!parsed.micro_batch) fail(cell, "the micro-batch is missing");
            return make_action(kind, *parsed.micro_batch, parsed.stage);
        }
        fail(cell, "kind must be F, B, I, W or (...)OVERLAP_F_B");
    }

    Action parse_overlapped(std::string_view cell) const {
        const std::size_t close = cell.find(')');
        if (close == std::string_view::npos || cell.substr(close + 1) != "OVERLAP_F_B") {
            fail(cell, "must end in )OVERLAP_F_B");
        }
        const auto halves = split(cell.substr(1, close - 1), ';');
        if (halves.size() == 2) {
            const Cell forward = parse_simple(trim(halves[0]));
            const Cell backward = parse_simple(trim(halves[1]));
            if (forward.kind == "F" && backward.kind == "B" && forward.micro_batch &&
                backward.micro_batch) {
                return make_overlapped(
                    make_action(ActionKind::forward, *forward.micro_batch, forward.stage),
                    make_action(ActionKind::backward, *backward.micro_batch, backward.stage));
            }
        }
        fail(cell, "must hold one F and one B, as in (0F1;1B0)OVERLAP_F_B");
    }

    std::string_view name_;
    int line_ = 0;  // from 1
};

// Calls visit(rank, micro_batch, stage) for both halves of every action; they may be changed.
template <class Actions, class Visit>
void for_each_half(Actions& actions, Visit&& visit) {
    for (std::size_t rank = 0; rank < actions.size(); ++rank) {
        for (auto& action : actions[rank]) {
            visit(static_cast<int>(rank), action.micro_batch, action.stage);
            visit(static_cast<int>(rank), action.backward_micro_batch, action.backward_stage);
        }
    }
}

// Two directions where no micro-batch touches both halves of the stages and the lower half of the
// micro-batches runs on the lower half of the stages.
bool is_bidirectional(const PipelineSchedule& schedule) {
    if (schedule.stages % 2 != 0 || schedule.micro_batches % 2 != 0) return false;
    bool apart = true;
    for_each_half(schedule.actions, [&](int, int micro_batch, int stage) {
        const bool second = stage >= schedule.stages / 2;
        apart = apart && second == (micro_batch >= schedule.micro_batches / 2);
    });
    return apart;
}

void place_stages(PipelineSchedule& schedule, std::string_view name) {
    std::vector<int> placement(static_cast<std::size_t>(schedule.stages), kNoRank);
    for_each_half(schedule.actions, [&](int rank, int, int stage) {
        int& home = placement[static_cast<std::size_t>(stage)];
        if (home != kNoRank && home != rank) {
            throw InputError(
                fmt::format("{}: stage {} runs on line {} and on line {}: a stage "
                            "belongs to one rank",
                            name, stage, home + 1, rank + 1));
        }
        home = rank;
    });
    const auto hole = std::find(placement.begin(), placement.end(), kNoRank);
    if (hole != placement.end()) {
        throw InputError(fmt::format("{}: stage {} of {} never runs", name,
                                     hole - placement.begin(), schedule.stages));
    }
    schedule.stage_rank = {placement};
}

void split_directions(PipelineSchedule& schedule) {
    const int stages = schedule.stages / 2;
    const std::vector<int> both = schedule.stage_rank.front();
    schedule.stage_rank = {{both.begin(), both.begin() + stages},
                           {both.begin() + stages, both.end()}};
    schedule.stages = stages;
    for_each_half(schedule.actions, [&](int, int, int& stage) { stage %= stages; });
}

}  // namespace

std::string schedule_to_csv(const PipelineSchedule& schedule) {
    const auto stage_in_file = [&](int micro_batch, int stage) {
        return stage + schedule.direction_of(micro_batch) * schedule.stages;
    };
    std::string text;
    auto out = std::back_inserter(text);
    for (const std::vector<Action>& list : schedule.actions) {
        for (std::size_t at = 0; at < list.size(); ++at) {
            const Action& action = list[at];
            const int stage = stage_in_file(action.micro_batch, action.stage);
            if (at > 0) text += ',';
            if (action.kind == ActionKind::forward_backward) {
                fmt::format_to(out, "({}F{};{}B{})OVERLAP_F_B", stage, action.micro_batch,
                               stage_in_file(action.backward_micro_batch, action.backward_stage),
                               action.backward_micro_batch);
            } else {
                fmt::format_to(out, "{}{}{}", stage, action_kind_name(action.kind),
                               action.micro_batch);
            }
        }
        text += '\n';
    }
    return text;
}

PipelineSchedule schedule_from_csv(std::string_view text, std::string_view name) {
    PipelineSchedule schedule;
    schedule.name = name;
    schedule.actions = Reader(name).read(text);
    schedule.ranks = static_cast<int>(schedule.actions.size());
    std::size_t passes = 0;
    for_each_half(schedule.actions, [&](int, int micro_batch, int stage) {
        schedule.micro_batches = std::max(schedule.micro_batches, micro_batch + 1);
        schedule.stages = std::max(schedule.stages, stage + 1);
        ++passes;
    });
    if (passes == 0) throw InputError(fmt::format("{}: no schedule in this file", name));
    // Each stage runs each micro-batch (of its direction): far more of them than cells is a gap.
    const auto described = static_cast<std::size_t>(schedule.stages) *
                           static_cast<std::size_t>(schedule.micro_batches);
    if (described > 2 * passes) {
        throw InputError(
            fmt::format("{}: {} stages and {} micro-batches but only {} actions: some "
                        "never run",
                        name, schedule.stages, schedule.micro_batches, passes / 2));
    }
    place_stages(schedule, name);
    if (is_bidirectional(schedule)) split_directions(schedule);
    return schedule;
}

}  // namespace orrery
