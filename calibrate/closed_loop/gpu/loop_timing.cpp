#include "calibrate/closed_loop/gpu/loop_timing.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/probe.hpp"

namespace orrery::closed_loop {
namespace {

using namespace calibrate;

constexpr std::int64_t kGateNs = 6'000'000;  // the host queues a round meanwhile
constexpr std::int64_t kProbeNs = 3000;
constexpr auto kPause = std::chrono::milliseconds(120);
constexpr Stream kBoth[] = {Stream::compute, Stream::communication};

class Events {
  public:
    explicit Events(std::size_t n) : events_(n) {
        for (cudaEvent_t& e : events_) ORRERY_CHECK(cudaEventCreate(&e));
    }
    ~Events() {
        for (cudaEvent_t e : events_) cudaEventDestroy(e);
    }
    Events(const Events&) = delete;
    cudaEvent_t operator[](std::size_t i) const { return events_[i]; }
    double microseconds(std::size_t from, std::size_t to) const {
        float ms = 0;
        ORRERY_CHECK(cudaEventElapsedTime(&ms, events_[from], events_[to]));
        return double(ms) * 1000;
    }

  private:
    std::vector<cudaEvent_t> events_;
};

// events[first] before the round, one after each part.
void enqueue(const Device& device, const Round& round, const Events& events, std::size_t first) {
    ORRERY_CHECK(cudaEventRecord(events[first], device.stream()));
    for (std::size_t i = 0; i < round.size(); ++i) {
        round[i]->enqueue();
        ORRERY_CHECK(cudaEventRecord(events[first + i + 1], device.stream()));
    }
}
void collect(Walls& walls, const Round& round, const Events& events, std::size_t first) {
    std::vector<double> parts;
    for (std::size_t i = 0; i < round.size(); ++i)
        parts.push_back(events.microseconds(first + i, first + i + 1));
    walls.parts_us.push_back(parts);
    walls.total_us.push_back(events.microseconds(first, first + round.size()));
}

// Rounds without a pause until `seconds` have passed; at most two rounds are queued ahead.
template <class Each>
int run_rounds(const Device& device, double seconds, int most, Each&& queue_round) {
    Events done(2);
    const auto begin = std::chrono::steady_clock::now();
    int count = 0;
    for (; count < most; ++count) {
        const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
        if (passed.count() > seconds) break;
        if (count >= 2) ORRERY_CHECK(cudaEventSynchronize(done[std::size_t(count % 2)]));
        queue_round(count);
        ORRERY_CHECK(cudaEventRecord(done[std::size_t(count % 2)], device.stream()));
    }
    ORRERY_CHECK(cudaDeviceSynchronize());
    return count;
}

// Deals the records of each stream to the steps, round after round.
std::vector<RunTimes> deal(const Round& round, const std::vector<KernelRecord>& records, int rounds,
                           int first_round) {
    std::vector<RunTimes> times(round.size());
    for (std::size_t r = 0; r < round.size(); ++r)
        for (const Stream s : kBoth) times[r].emplace_back(round[r]->steps(s).size());
    for (std::size_t s = 0; s < 2; ++s) {
        std::vector<std::uint32_t> ids;
        for (const LoopRunner* runner : round) ids.push_back(runner->stream_id(kBoth[s]));
        std::vector<const KernelRecord*> mine;
        for (const KernelRecord& record : records)
            if (record.stream != 0 && std::count(ids.begin(), ids.end(), record.stream) &&
                record.name.find("clock_kernel") == std::string::npos)
                mine.push_back(&record);
        std::size_t at = 0;
        for (int n = 0; n < rounds; ++n) {
            std::uint64_t end = at < mine.size() ? mine[at]->start_ns : 0;
            for (std::size_t r = 0; r < round.size(); ++r) {
                const auto& steps = round[r]->steps(kBoth[s]);
                for (std::size_t i = 0; i < steps.size(); ++i) {
                    if (steps[i].kernels == 0) continue;
                    if (at + std::size_t(steps[i].kernels) > mine.size())
                        throw InputError("CUPTI lost kernel records");
                    double us = 0;
                    const std::uint64_t before = end;
                    for (int k = 0; k < steps[i].kernels; ++k, ++at) {
                        us += double(mine[at]->end_ns - mine[at]->start_ns) * 1e-3;
                        end = mine[at]->end_ns;
                    }
                    if (n < first_round) continue;
                    times[r][s][i].kernel_us.push_back(us);
                    times[r][s][i].step_us.push_back(double(end - before) * 1e-3);
                }
            }
        }
        if (at != mine.size())
            throw InputError(fmt::format("{} kernel records are no step's", mine.size() - at));
    }
    return times;
}

}  // namespace

Walls burst_walls(const Device& device, const Round& round, int rounds) {
    Walls walls;
    Events events(round.size() + 1);
    Buffer probes(64);
    std::vector<double> clocks;
    for (int i = 0; i <= rounds; ++i) {
        std::this_thread::sleep_for(kPause);
        kernels::probe_clock(probes.as<std::uint64_t>(), kGateNs, device.stream());
        enqueue(device, round, events, 0);
        kernels::probe_clock(probes.as<std::uint64_t>(), kProbeNs, device.stream());
        ORRERY_CHECK(cudaStreamSynchronize(device.stream()));
        if (i == 0) continue;  // warm-up
        collect(walls, round, events, 0);
        std::uint64_t host[2] = {0, 1};
        ORRERY_CHECK(cudaMemcpy(host, probes.as<void>(), 16, cudaMemcpyDeviceToHost));
        clocks.push_back(double(host[0]) / double(std::max<std::uint64_t>(1, host[1])) * 1000);
    }
    walls.clock_mhz = summarize(clocks).median;
    return walls;
}

Walls sustained_walls(const Device& device, const Round& round, double seconds) {
    constexpr int kMost = 1000;
    const std::size_t each = round.size() + 1;
    Events events(each * kMost);
    Walls walls;
    PowerLog log(device.nvml());
    const int count = run_rounds(device, seconds, kMost, [&](int n) {
        enqueue(device, round, events, each * std::size_t(n));
    });
    const double end = log.seconds();
    const PowerSample power = log.mean(0.6 * end, end);
    walls.clock_mhz = power.clock_mhz;
    walls.power_w = power.power_w;
    for (int n = count * 6 / 10; n < count; ++n)
        collect(walls, round, events, each * std::size_t(n));
    return walls;
}

std::vector<RunTimes> burst_times(const Device& device, KernelTimer& timer, const Round& round,
                                  int rounds) {
    Buffer probe(64);
    timer.take();
    for (int i = 0; i <= rounds; ++i) {
        std::this_thread::sleep_for(kPause);
        kernels::probe_clock(probe.as<std::uint64_t>(), kGateNs, device.stream());
        for (LoopRunner* runner : round) runner->enqueue();
        ORRERY_CHECK(cudaDeviceSynchronize());
    }
    return deal(round, timer.take(), rounds + 1, 1);
}

std::vector<RunTimes> sustained_times(const Device& device, KernelTimer& timer, const Round& round,
                                      double seconds) {
    timer.take();
    const int count = run_rounds(device, seconds, 1000, [&](int) {
        for (LoopRunner* runner : round) runner->enqueue();
    });
    return deal(round, timer.take(), count, count * 6 / 10);
}

std::vector<std::vector<double>> alone_times(const Device& device, KernelTimer& timer,
                                             LoopRunner& runner) {
    constexpr int kCalls = 7;
    constexpr std::int64_t kDirty = 256ll << 20;
    Buffer dirty(kDirty);
    std::vector<std::vector<double>> result;
    timer.take();
    for (const Stream s : kBoth) {
        result.emplace_back();
        for (const Step& step : runner.steps(s)) {
            result.back().push_back(0);
            if (!step.call || class_of(*step.op) == OperatorClass::communication) continue;
            const cudaStream_t stream = runner.stream(s);
            for (int i = 0; i < kCalls; ++i) {
                kernels::zero_bytes(dirty.as<void>(), kDirty, stream);
                step.call(stream);
            }
            ORRERY_CHECK(cudaStreamSynchronize(stream));
            const auto records = timer.take();
            const std::size_t each = std::size_t(step.kernels) + 1;  // the zeroing first
            if (records.size() != each * kCalls) throw InputError("CUPTI lost kernel records");
            std::vector<double> sums;
            for (std::size_t c = 1; c < kCalls; ++c) {
                double us = 0;
                for (std::size_t k = 1; k < each; ++k) {
                    const KernelRecord& r = records[c * each + k];
                    us += double(r.end_ns - r.start_ns) * 1e-3;
                }
                sums.push_back(us);
            }
            result.back().back() = summarize(sums).median;
        }
    }
    (void)device;
    return result;
}

}  // namespace orrery::closed_loop
