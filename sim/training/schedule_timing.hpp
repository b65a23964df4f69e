#pragma once
// What a schedule takes, given a duration for each pass; sends are free.
//
// end(a) = start(a) + cost(a);  start(a) = max(end of the rank's previous action, ends of the
// actions that produce what a consumes);  makespan = latest end;  busy(r) = sum of the costs of the
// actions of rank r;  bubble(r) = makespan - busy(r). Durations are doubles, summed in order: with
// integer costs every figure is exact.
// In flight on a rank: passes F(m, s) started whose backward has not ended. An activation is kept
// from the start of its F to the end of its B or, where the backward is split, to the end of its I
// (`in_flight`) or of its W (`in_flight_weights`: inputs of the weight gradient are still held).

#include <optional>
#include <vector>

#include "training/schedule.hpp"

namespace orrery {

struct ActionTime {
    double start = 0.0;
    double end = 0.0;
};

struct ScheduleTiming {
    double makespan = 0.0;
    std::vector<double> busy;                      // [rank]
    std::vector<double> bubble;                    // [rank]
    std::vector<int> in_flight;                    // [rank] peak, micro-batch x chunks
    std::vector<int> in_flight_weights;            // [rank] the same, kept until W
    std::vector<std::vector<ActionTime>> actions;  // [rank][position in the rank's list]
};

// One step of a rank's in-flight curve.
struct InFlightPoint {
    double time = 0.0;
    int in_flight = 0;          // from `time` on
    int in_flight_weights = 0;  // the same, kept until W
};

double action_cost(ActionKind kind, const PassCosts& costs);

// Throws SimulationError naming rank and action where the schedule deadlocks, InputError where a
// cost is negative or not finite.
ScheduleTiming time_schedule(const PipelineSchedule& schedule, const PassCosts& costs);

// The in-flight activation curve of one rank, in order of time, one point per change.
std::vector<InFlightPoint> in_flight_curve(const PipelineSchedule& schedule,
                                           const ScheduleTiming& timing, int rank);

// The bubble of the worst rank as published, exact at F = B = W and FB = F + B + W, an
// approximation elsewhere; none where no closed form is published (zb_v).
std::optional<double> closed_form_bubble(const PipelineSchedule& schedule, const PassCosts& costs);

}  // namespace orrery
