#pragma once
// Wall times of rounds and, in rounds of their own, the kernels' times in them.

#include <vector>

#include "calibrate/closed_loop/gpu/loop_runner.hpp"
#include "calibrate/gpu/measure.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::closed_loop {

// What is run in a round, one after the other: {F, B, W}, or {F&B}.
using Round = std::vector<LoopRunner*>;

struct Walls {
    std::vector<std::vector<double>> parts_us;  // [round][part]
    std::vector<double> total_us;               // [round]
    double clock_mhz = 0;                       // SM clock: burst, at the ends of the rounds
    double power_w = 0;                         // sustained only
};
// A round after each pause that lets the GPU cool, everything queued before it starts.
Walls burst_walls(const calibrate::Device& device, const Round& round, int rounds);
// Rounds without a pause; those of the last 40 % of the time are kept.
Walls sustained_walls(const calibrate::Device& device, const Round& round, double seconds);

// Times of one step: kernel time, and from the end of the step before it (of the same stream) to
// its own end, idle time included.
struct StepTimes {
    std::vector<double> kernel_us, step_us;  // [round]
};
using RunTimes = std::vector<std::vector<StepTimes>>;  // [stream][step], of one runner

// CUPTI's kernel times in rounds like those above; one entry a runner. `first` and `last`: rounds
// [first, rounds) are kept. seconds > 0: without a pause.
std::vector<RunTimes> burst_times(const calibrate::Device& device, calibrate::KernelTimer& timer,
                                  const Round& round, int rounds);
std::vector<RunTimes> sustained_times(const calibrate::Device& device,
                                      calibrate::KernelTimer& timer, const Round& round,
                                      double seconds);
// Each step of the runner alone, after its caches have been filled with other data that is yet to
// be written back, a few times: median kernel time in microseconds, [stream][step].
std::vector<std::vector<double>> alone_times(const calibrate::Device& device,
                                             calibrate::KernelTimer& timer, LoopRunner& runner);

}  // namespace orrery::closed_loop
