#pragma once
// What a schedule takes, given a duration for each pass; sends are free.
//
// end(a) = start(a) + cost(a);  start(a) = max(end of the rank's previous action, ends of the
// actions that produce what a consumes);  makespan = latest end;  busy(r) = sum of the costs of the
// actions of rank r;  bubble(r) = makespan - busy(r). Durations are doubles, summed in order: with
// integer costs every figure is exact.
// In flight on a rank: activations of a pass F(m, s), counted as one each, held from the start of
// the F to the end of the last part of its backward: of its B or W (`in_flight`, what memory must
// hold) or of its B or I (`in_flight_until_input`, what is left where I frees everything). Passes
// of a rank do not overlap but in a pair, so the peaks follow from its order alone.

#include <optional>
#include <vector>

#include "training/schedule.hpp"

namespace orrery {

struct PassCosts {
    // Durations per chunk, in any one unit. B is the input-gradient pass I; a full backward costs
    // B + W. FB is an overlapped pair.
    double forward = 1.0;
    double backward_input = 1.0;
    double backward_weight = 1.0;
    double forward_backward = 3.0;
    bool operator==(const PassCosts&) const = default;
};

struct ActionTime {
    double start = 0.0;
    double end = 0.0;
};

struct ScheduleTiming {
    double makespan = 0.0;
    std::vector<double> busy;                      // [rank]
    std::vector<double> bubble;                    // [rank]
    std::vector<int> in_flight;                    // [rank] peak, micro-batch x chunks
    std::vector<int> in_flight_until_input;        // [rank] the same, held until B or I only
    std::vector<std::vector<ActionTime>> actions;  // [rank][position in the rank's list]
};

// One step of a rank's in-flight curve.
struct InFlightPoint {
    double time = 0.0;
    int in_flight = 0;              // from `time` on
    int in_flight_until_input = 0;  // the same, held until B or I only
};

double action_cost(ActionKind kind, const PassCosts& costs);

// Throws SimulationError naming rank and action where the schedule deadlocks, InputError where a
// cost is negative or not finite.
ScheduleTiming time_schedule(const PipelineSchedule& schedule, const PassCosts& costs);

// The in-flight activation curve of one rank, in order of time, one point per change.
std::vector<InFlightPoint> in_flight_curve(const PipelineSchedule& schedule,
                                           const ScheduleTiming& timing, int rank);

// The bubble of the worst rank as published (DeepSeek-V3 report, arXiv:2412.19437v1, Table 2, and
// the DualPipe README; Megatron-LM, arXiv:2104.04473, for gpipe and interleaved_1f1b), with B the
// full backward and PP the number of stages:
//     gpipe, 1f1b, interleaved_1f1b (PP = ranks)    (PP - 1) (F + B)
//     zb1p                                          (PP - 1) (F + B - 2 W)
//     dualpipe, dualpipe_v                          (PP / 2 - 1) (F&B + B - 3 W)
// Exact at F = I = W whatever F&B is, an approximation elsewhere. None for zb_v and imported
// schedules, and for zb1p with fewer micro-batches than ranks, which the form does not describe.
std::optional<double> closed_form_bubble(const PipelineSchedule& schedule, const PassCosts& costs);
// That form in symbols, as above; empty where there is none.
std::string_view closed_form_text(const PipelineSchedule& schedule);

}  // namespace orrery
