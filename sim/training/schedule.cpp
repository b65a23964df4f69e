#include "training/schedule.hpp"

#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "core/error.hpp"
#include "training/schedule_makers.hpp"

namespace orrery {

namespace {

constexpr int kLargest = 1'000'000;  // ranks or micro-batches, beyond it is a typing error
constexpr std::int64_t kMostPasses = 10'000'000;  // ranks x micro-batches x chunks, to fit memory

struct Maker {
    ScheduleKind kind;
    int default_chunks;
    int least_chunks;
    int most_chunks;
    // What else the shape must satisfy, in words, or nothing where it does.
    std::optional<std::string> (*rule)(const ScheduleShape&);
    PipelineSchedule (*make)(const ScheduleShape&);
};

std::optional<std::string> no_rule(const ScheduleShape&) { return std::nullopt; }

std::optional<std::string> whole_groups(const ScheduleShape& shape) {
    if (shape.micro_batches % shape.ranks == 0) return std::nullopt;
    return fmt::format("micro-batches = {}: must be a multiple of the {} ranks",
                       shape.micro_batches, shape.ranks);
}

std::optional<std::string> enough_micro_batches(const ScheduleShape& shape) {
    if (shape.micro_batches >= 2 * shape.ranks) return std::nullopt;
    return fmt::format("micro-batches = {}: must be >= {}, twice the ranks", shape.micro_batches,
                       2 * shape.ranks);
}

std::optional<std::string> two_directions(const ScheduleShape& shape) {
    if (shape.ranks % 2 != 0) return fmt::format("ranks = {}: must be even", shape.ranks);
    if (shape.micro_batches % 2 != 0) {
        return fmt::format("micro-batches = {}: must be even, half in each direction",
                           shape.micro_batches);
    }
    return enough_micro_batches(shape);
}

const std::vector<Maker>& makers() {
    static const std::vector<Maker> all{
        {{"gpipe", "all forwards, then all backwards (Huang et al.)", "any shape"},
         1,
         1,
         1,
         no_rule,
         make_gpipe},
        {{"1f1b", "one forward, one backward: PipeDream-flush (Narayanan et al.)", "any shape"},
         1,
         1,
         1,
         no_rule,
         make_1f1b},
        {{"interleaved_1f1b", "1F1B over several chunks a rank (Megatron-LM)",
          "micro-batches a multiple of the ranks; chunks >= 2 (default 2)"},
         2,
         2,
         1024,
         whole_groups,
         make_interleaved_1f1b},
        {{"zb1p", "1F1B with split backwards, memory of 1F1B: ZB-H1 (Qi et al.)", "any shape"},
         1,
         1,
         1,
         no_rule,
         make_zb1p},
        {{"zb_v", "zero bubble on a V of two chunks a rank: ZB-V (Qi et al., section 6)",
          "any shape; 2 chunks"},
         2,
         2,
         2,
         no_rule,
         make_zb_v},
        {{"dualpipe", "two opposite pipelines with overlapped pairs (DeepSeek-V3)",
          "ranks even; micro-batches even, >= twice the ranks; 2 chunks, one of each model copy"},
         2,
         2,
         2,
         two_directions,
         make_dualpipe},
        {{"dualpipe_v", "DualPipe cut in half: a V of two chunks a rank (DeepSeek)",
          "micro-batches >= twice the ranks; 2 chunks"},
         2,
         2,
         2,
         enough_micro_batches,
         make_dualpipe_v},
    };
    return all;
}

const Maker& find_maker(std::string_view name) {
    std::string names;
    for (const Maker& maker : makers()) {
        if (maker.kind.name == name) return maker;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", maker.kind.name);
    }
    throw InputError(fmt::format("schedule \"{}\": must be one of {}", name, names));
}

void check_shape(const Maker& maker, const ScheduleShape& shape) {
    const auto refuse = [&](const std::string& text) {
        throw InputError(fmt::format("schedule {}: {}", maker.kind.name, text));
    };
    const auto in_range = [&](const char* what, int value, int least, int most) {
        if (value < least || value > most) {
            refuse(least == most ? fmt::format("{} = {}: must be {}", what, value, least)
                                 : fmt::format("{} = {}: must be between {} and {}", what, value,
                                               least, most));
        }
    };
    in_range("ranks", shape.ranks, 1, kLargest);
    in_range("micro-batches", shape.micro_batches, 1, kLargest);
    in_range("chunks", shape.chunks, maker.least_chunks, maker.most_chunks);
    const std::int64_t passes = std::int64_t{shape.ranks} * shape.micro_batches * shape.chunks;
    if (passes > kMostPasses) {
        refuse(
            fmt::format("ranks x micro-batches x chunks = {}: must be <= {}", passes, kMostPasses));
    }
    if (const auto broken = maker.rule(shape)) refuse(*broken);
}

}  // namespace

std::string_view action_kind_name(ActionKind kind) {
    switch (kind) {
        case ActionKind::forward:
            return "F";
        case ActionKind::backward:
            return "B";
        case ActionKind::backward_input:
            return "I";
        case ActionKind::backward_weight:
            return "W";
        case ActionKind::forward_backward:
            return "OVERLAP_F_B";
    }
    return "?";
}

std::string describe(const Action& action) {
    if (action.kind == ActionKind::forward_backward) {
        return fmt::format("F of micro-batch {} on stage {} with B of micro-batch {} on stage {}",
                           action.micro_batch, action.stage, action.backward_micro_batch,
                           action.backward_stage);
    }
    return fmt::format("{} of micro-batch {} on stage {}", action_kind_name(action.kind),
                       action.micro_batch, action.stage);
}

const std::vector<ScheduleKind>& schedule_kinds() {
    static const std::vector<ScheduleKind> kinds = [] {
        std::vector<ScheduleKind> list;
        for (const Maker& maker : makers()) list.push_back(maker.kind);
        return list;
    }();
    return kinds;
}

PipelineSchedule make_schedule(std::string_view name, const ScheduleShape& shape) {
    const Maker& maker = find_maker(name);
    ScheduleShape full = shape;
    if (full.chunks == 0) full.chunks = maker.default_chunks;
    check_shape(maker, full);
    PipelineSchedule schedule = maker.make(full);
    schedule.name = maker.kind.name;
    schedule.ranks = full.ranks;
    schedule.micro_batches = full.micro_batches;
    schedule.stages = static_cast<int>(schedule.stage_rank.front().size());
    return schedule;
}

std::vector<int> straight_placement(int ranks) {
    std::vector<int> rank_of(static_cast<std::size_t>(ranks));
    std::iota(rank_of.begin(), rank_of.end(), 0);
    return rank_of;
}

std::vector<int> vee_placement(int ranks) {
    std::vector<int> rank_of = straight_placement(ranks);
    rank_of.insert(rank_of.end(), rank_of.rbegin(), rank_of.rend());
    return rank_of;
}

}  // namespace orrery
