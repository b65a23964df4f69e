#include "training/schedule_timing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"
#include "training/schedule_walk.hpp"

namespace orrery {

namespace {

void check_costs(const PassCosts& costs) {
    const auto check = [](const char* pass, double cost) {
        constexpr double most = 1e15;  // far below where integers stop being exact when summed
        if (!(cost >= 0.0 && cost <= most)) {
            throw InputError(
                fmt::format("cost {} = {}: must be between 0 and {}", pass, cost, most));
        }
    };
    check("F", costs.forward);
    check("B", costs.backward_input);
    check("W", costs.backward_weight);
    check("FB", costs.forward_backward);
}

// Change of the two in-flight counts at the start and at the end of an action.
struct InFlightChange {
    int at_start = 0;
    int at_end = 0;
    int at_end_until_input = 0;
};

InFlightChange in_flight_change(ActionKind kind) {
    return {has_forward(kind) ? 1 : 0, has_backward_weight(kind) ? -1 : 0,
            has_backward_input(kind) ? -1 : 0};
}

void count_in_flight(const PipelineSchedule& schedule, ScheduleTiming& timing) {
    for (const std::vector<Action>& list : schedule.actions) {
        int held = 0;
        int until_input = 0;
        int peak = 0;
        int peak_until_input = 0;
        for (const Action& action : list) {
            const InFlightChange change = in_flight_change(action.kind);
            peak = std::max(peak, held += change.at_start);
            peak_until_input = std::max(peak_until_input, until_input += change.at_start);
            held += change.at_end;
            until_input += change.at_end_until_input;
        }
        timing.in_flight.push_back(peak);
        timing.in_flight_until_input.push_back(peak_until_input);
    }
}

}  // namespace

double action_cost(ActionKind kind, const PassCosts& costs) {
    switch (kind) {
        case ActionKind::forward:
            return costs.forward;
        case ActionKind::backward:
            return costs.backward_input + costs.backward_weight;
        case ActionKind::backward_input:
            return costs.backward_input;
        case ActionKind::backward_weight:
            return costs.backward_weight;
        case ActionKind::forward_backward:
            return costs.forward_backward;
    }
    return 0.0;
}

ScheduleTiming time_schedule(const PipelineSchedule& schedule, const PassCosts& costs) {
    check_costs(costs);
    const auto ranks = static_cast<std::size_t>(schedule.ranks);
    ScheduleTiming timing;
    timing.busy.resize(ranks);
    timing.actions.resize(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        timing.actions[rank].resize(schedule.actions[rank].size());
    }
    std::vector<double> end_of(2 * static_cast<std::size_t>(schedule.micro_batches) *
                               static_cast<std::size_t>(schedule.stages));  // [output_index]
    std::vector<double> free_at(ranks);
    const auto blocked = walk_schedule(schedule, [&](int rank_number, std::size_t at) {
        const auto rank = static_cast<std::size_t>(rank_number);
        const Action& action = schedule.actions[rank][at];
        double start = free_at[rank];
        for_each_input(action, schedule.stages, [&](const PassOutput& output) {
            start = std::max(start, end_of[output_index(output, schedule)]);
        });
        const double cost = action_cost(action.kind, costs);
        const double end = start + cost;
        for_each_output(action, [&](const PassOutput& output) {
            end_of[output_index(output, schedule)] = end;
        });
        timing.actions[rank][at] = {start, end};
        timing.busy[rank] += cost;
        free_at[rank] = end;
    });
    if (blocked) {
        const auto& list = schedule.actions[static_cast<std::size_t>(blocked->rank)];
        throw SimulationError(fmt::format(
            "schedule {}: deadlock: rank {}, action {} ({}) waits for {} of micro-batch {} on "
            "stage {}",
            schedule.name, blocked->rank, blocked->position, describe(list[blocked->position]),
            blocked->waits_for.backward ? "I" : "F", blocked->waits_for.micro_batch,
            blocked->waits_for.stage));
    }
    timing.makespan = *std::max_element(free_at.begin(), free_at.end());
    for (const double busy : timing.busy) timing.bubble.push_back(timing.makespan - busy);
    count_in_flight(schedule, timing);
    return timing;
}

std::vector<InFlightPoint> in_flight_curve(const PipelineSchedule& schedule,
                                           const ScheduleTiming& timing, int rank) {
    const auto& list = schedule.actions[static_cast<std::size_t>(rank)];
    const auto& times = timing.actions[static_cast<std::size_t>(rank)];
    std::vector<InFlightPoint> curve;
    InFlightPoint now;
    const auto add = [&](double time, int held, int until_input) {
        if (held == 0 && until_input == 0) return;
        now = {time, now.in_flight + held, now.in_flight_until_input + until_input};
        curve.push_back(now);
    };
    for (std::size_t at = 0; at < list.size(); ++at) {
        const InFlightChange change = in_flight_change(list[at].kind);
        add(times[at].start, change.at_start, change.at_start);
        add(times[at].end, change.at_end, change.at_end_until_input);
    }
    return curve;
}

namespace {

enum class BubbleForm : std::uint8_t { none, one_f_one_b, zb1p, dualpipe };

BubbleForm bubble_form(const PipelineSchedule& schedule) {
    const std::string& name = schedule.name;
    if (name == "gpipe" || name == "1f1b" || name == "interleaved_1f1b") {
        return BubbleForm::one_f_one_b;
    }
    if (name == "zb1p" && schedule.micro_batches >= schedule.ranks) return BubbleForm::zb1p;
    if (name == "dualpipe" || name == "dualpipe_v") return BubbleForm::dualpipe;
    return BubbleForm::none;
}

}  // namespace

std::optional<double> closed_form_bubble(const PipelineSchedule& schedule, const PassCosts& costs) {
    const double f = costs.forward;
    const double w = costs.backward_weight;
    const double b = costs.backward_input + w;
    switch (bubble_form(schedule)) {
        case BubbleForm::one_f_one_b:
            return (schedule.ranks - 1) * (f + b);
        case BubbleForm::zb1p:
            return (schedule.ranks - 1) * (f + b - 2.0 * w);
        case BubbleForm::dualpipe:
            return (schedule.stages / 2 - 1) * (costs.forward_backward + b - 3.0 * w);
        case BubbleForm::none:
            break;
    }
    return std::nullopt;
}

std::string_view closed_form_text(const PipelineSchedule& schedule) {
    switch (bubble_form(schedule)) {
        case BubbleForm::one_f_one_b:
            return "(PP - 1) (F + B)";
        case BubbleForm::zb1p:
            return "(PP - 1) (F + B - 2 W)";
        case BubbleForm::dualpipe:
            return "(PP / 2 - 1) (F&B + B - 3 W)";
        case BubbleForm::none:
            break;
    }
    return "";
}

}  // namespace orrery
