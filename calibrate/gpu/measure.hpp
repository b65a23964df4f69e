#pragma once
// Times a subject: burst (short runs at full clock, throttled samples dropped) and sustained
// (continuous load until the clock settles).
//
// A batch on the stream is  probe, call, probe, call, ..., probe: the probes are one-thread kernels
// that read the SM clock, and they part the CUPTI records of one call from the next. A sample is
// the sum of the durations of a call's kernels. The first probe spins long enough for the host to
// queue the batch, so that calls run back to back.

#include <functional>
#include <string>
#include <vector>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/kernel_timer.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::calibrate {

// Something to time. `launch(set)` queues one call on operand set 0 .. sets-1; sets rotate so that
// operands larger together than L2 come from device memory.
struct Subject {
    std::string name;
    int sets = 1;
    std::function<void(int set, cudaStream_t stream)> launch;
};

// One kernel (or memset) of a call.
struct CallKernel {
    std::string name;    // as CUPTI gives it
    double time_us = 0;  // median over the samples kept
    int ctas = 0;
};

struct Series {
    Summary time_us;                        // CUPTI kernel time of one call
    Summary event_us;                       // CUDA events around the same calls: the cross-check
    double clock_mhz = 0;                   // mean SM clock around the samples kept
    double power_w = 0, temperature_c = 0;  // NVML, sustained mode only
    double kernels_per_call = 0;
    std::size_t dropped = 0;          // throttled samples left out
    std::string kernel;               // name of the call's longest kernel, as CUPTI gives it
    int ctas = 0;                     // grid of that kernel
    std::vector<CallKernel> kernels;  // of one call in their order; burst mode only
};

enum class Cache { rotating, flushed };  // operand sets rotate | L2 read full of other data first

class Bench {
  public:
    explicit Bench(const Device& device);
    ~Bench();
    Bench(const Bench&) = delete;

    // Warms up with `warm_up` calls, then samples until the rule says enough. Where more than half
    // of the samples are throttled all are kept, and clock_mhz says so.
    Series burst(const Subject& subject, const StoppingRule& rule, Cache cache = Cache::rotating,
                 int warm_up = 3);
    // Runs the subjects round-robin without a pause for `seconds`; each series is taken from the
    // last 40 % of that time. `calls_us`: the times of these calls in their order, from the first
    // whole turn on (call i is of subject i % loop.size()).
    std::vector<Series> sustained(const std::vector<Subject>& loop, double seconds,
                                  std::vector<double>* calls_us = nullptr);
    // Idle microseconds between a kernel and the next one of its stream, everything queued in
    // advance; one value a round.
    //   plain = (E(2 loops) - E(1 loop) - D) / n
    // E: time between CUDA events, nothing recorded by CUPTI; D, n: the time and number of a loop's
    // kernels, by CUPTI. profiled: between CUPTI's own records, which recording makes longer.
    struct Gaps {
        std::vector<double> plain, profiled;
    };
    Gaps gaps(const std::vector<Subject>& loop, int rounds);
    // plain, between kernels of one CUDA graph: E of graphs of two loops and of one; D of the same
    // kernels launched one by one.
    std::vector<double> graph_gaps(const std::vector<Subject>& loop, int rounds);
    // CUPTI's records are the process's: whoever measures by other means takes them here.
    KernelTimer& timer() { return timer_; }

  private:
    struct Batch;
    void queue_loops(const std::vector<Subject>& loop, int first_set);
    Batch run_batch(const Subject& subject, int calls, int first_set, Cache cache);
    const Device& device_;
    KernelTimer timer_;
    Buffer clocks_, flush_;
    std::uint64_t* host_clocks_ = nullptr;
    std::vector<cudaEvent_t> events_;
};

}  // namespace orrery::calibrate
