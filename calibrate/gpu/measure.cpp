#include "calibrate/gpu/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {
namespace {

constexpr int kMostCalls = 16;        // of one batch
constexpr int kMostProbes = 1 << 17;  // of one sustained run
constexpr std::int64_t kGateNs = 150000, kProbeNs = 3000;
constexpr std::int64_t kFlushBytes = 256ll << 20;

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}
double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}
double mhz(const std::uint64_t* probe) {
    return probe[1] ? double(probe[0]) / double(probe[1]) * 1000.0 : 0;
}

struct Call {
    double microseconds = 0;
    int kernels = 0;
    std::string longest;
    double longest_us = 0;
    int ctas = 0;
    std::vector<CallKernel> all;
};

// Of calls that launched the same kernels: each kernel's median time.
std::vector<CallKernel> kernel_medians(const std::vector<Call>& calls) {
    if (calls.empty()) return {};
    std::vector<CallKernel> kernels = calls.front().all;
    for (std::size_t k = 0; k < kernels.size(); ++k) {
        std::vector<double> times;
        for (const Call& c : calls)
            if (c.all.size() == kernels.size()) times.push_back(c.all[k].time_us);
        kernels[k].time_us = summarize(times).median;
    }
    return kernels;
}

// Kernel records between clock probes, summed per call. The first probe precedes call 0.
std::vector<Call> calls_between_probes(const std::vector<KernelRecord>& records) {
    std::vector<Call> calls;
    bool open = false;
    for (const KernelRecord& r : records) {
        if (contains(r.name, "clock_kernel")) {
            calls.emplace_back();
            open = true;
            continue;
        }
        if (!open || contains(r.name, "communicate") || contains(r.name, "flush_kernel") ||
            contains(r.name, "expert_dispatch") || contains(r.name, "expert_combine"))
            continue;
        Call& call = calls.back();
        const double us = double(r.end_ns - r.start_ns) / 1000.0;
        call.microseconds += us;
        call.all.push_back({r.name, us, r.ctas});
        if (!r.is_memset) ++call.kernels;
        if (us > call.longest_us) {
            call.longest_us = us;
            call.longest = r.name;
            call.ctas = r.ctas;
        }
    }
    if (!calls.empty()) calls.pop_back();  // behind the last probe
    return calls;
}

}  // namespace

struct Bench::Batch {
    std::vector<Call> calls;
    std::vector<double> clocks_mhz, events_us;
};

Bench::Bench(const Device& device)
    : device_(device), clocks_(std::int64_t(kMostProbes) * 16), flush_(kFlushBytes) {
    ORRERY_CHECK(
        cudaMallocHost(reinterpret_cast<void**>(&host_clocks_), std::size_t(kMostProbes) * 16));
    ORRERY_CHECK(cudaMemset(flush_.as<void>(), 1, std::size_t(kFlushBytes)));
    events_.resize(2 * kMostCalls);
    for (cudaEvent_t& e : events_) ORRERY_CHECK(cudaEventCreate(&e));
}
Bench::~Bench() {
    for (cudaEvent_t e : events_) cudaEventDestroy(e);
    cudaFreeHost(host_clocks_);
}

Bench::Batch Bench::run_batch(const Subject& subject, int calls, int first_set, Cache cache) {
    const cudaStream_t stream = device_.stream();
    std::uint64_t* probes = clocks_.as<std::uint64_t>();
    timer_.take();
    kernels::probe_clock(probes, kGateNs, stream);
    for (int i = 0; i < calls; ++i) {
        if (cache == Cache::flushed)
            kernels::flush_l2(flush_.as<void>(), kFlushBytes, flush_.as<float>(), stream);
        ORRERY_CHECK(cudaEventRecord(events_[2 * i], stream));
        subject.launch((first_set + i) % subject.sets, stream);
        ORRERY_CHECK(cudaEventRecord(events_[2 * i + 1], stream));
        kernels::probe_clock(probes + 2 * (i + 1), kProbeNs, stream);
    }
    ORRERY_CHECK(cudaMemcpyAsync(host_clocks_, probes, std::size_t(calls + 1) * 16,
                                 cudaMemcpyDeviceToHost, stream));
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    ORRERY_CHECK(cudaGetLastError());
    Batch batch;
    batch.calls = calls_between_probes(timer_.take());
    if (int(batch.calls.size()) != calls || batch.calls[0].kernels == 0)
        throw InputError(subject.name + ": CUPTI returned no complete kernel records");
    for (int i = 0; i < calls; ++i) {
        batch.clocks_mhz.push_back((mhz(host_clocks_ + 2 * i) + mhz(host_clocks_ + 2 * i + 2)) / 2);
        float ms = 0;
        ORRERY_CHECK(cudaEventElapsedTime(&ms, events_[2 * i], events_[2 * i + 1]));
        batch.events_us.push_back(double(ms) * 1000);
    }
    return batch;
}

Series Bench::burst(const Subject& subject, const StoppingRule& rule, Cache cache, int warm_up) {
    for (int i = 0; i < warm_up; ++i) subject.launch(i % subject.sets, device_.stream());
    ORRERY_CHECK(cudaStreamSynchronize(device_.stream()));
    const double highest = device_.info().highest_clock_mhz, begin = now_seconds();
    std::vector<ClockedSample> all;
    std::vector<double> kept, events;
    std::vector<Call> kept_calls, all_calls;
    Series series;
    double kernels = 0;
    int calls = 4, next_set = 0;
    while (true) {
        const Batch batch = run_batch(subject, calls, next_set, cache);
        next_set = (next_set + calls) % subject.sets;
        bool hot = false;
        for (int i = 0; i < calls; ++i) {
            const ClockedSample s{batch.calls[i].microseconds, batch.clocks_mhz[i]};
            all.push_back(s);
            events.push_back(batch.events_us[i]);
            kernels += batch.calls[i].kernels;
            all_calls.push_back(batch.calls[i]);
            if (throttled(s, highest)) {
                hot = true;
            } else {
                kept.push_back(s.microseconds);
                kept_calls.push_back(batch.calls[i]);
            }
        }
        series.kernel = batch.calls[0].longest;
        series.ctas = batch.calls[0].ctas;
        series.time_us = summarize(kept);
        const double spent = now_seconds() - begin;
        if (enough(series.time_us, spent, rule) || all.size() >= 2 * rule.at_most ||
            spent > 3 * rule.seconds)
            break;
        const double per_call = std::max(1.0, all.back().microseconds);
        calls = std::clamp(int(3000.0 / per_call), 2, kMostCalls);
        if (hot) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
    const bool keep_all = kept.size() * 2 < all.size();
    if (keep_all) {
        kept.clear();
        for (const ClockedSample& s : all) kept.push_back(s.microseconds);
    }
    double clock = 0;
    for (const ClockedSample& s : all)
        if (keep_all || !throttled(s, highest)) clock += s.clock_mhz;
    series.time_us = summarize(kept);
    series.kernels = kernel_medians(keep_all ? all_calls : kept_calls);
    series.event_us = summarize(events);
    series.clock_mhz = clock / double(std::max<std::size_t>(1, kept.size()));
    series.kernels_per_call = kernels / double(all.size());
    series.dropped = all.size() - kept.size();
    return series;
}

// Three loops behind a gate, with events before, after the first and after the last.
void Bench::queue_loops(const std::vector<Subject>& loop, int first_set) {
    constexpr std::int64_t kQueueNs = 5'000'000;  // the host queues a round meanwhile
    const cudaStream_t stream = device_.stream();
    kernels::probe_clock(clocks_.as<std::uint64_t>(), kQueueNs, stream);
    ORRERY_CHECK(cudaEventRecord(events_[0], stream));
    for (int turn = 0; turn < 3; ++turn) {
        for (const Subject& s : loop) s.launch((first_set + turn) % s.sets, stream);
        if (turn != 1) ORRERY_CHECK(cudaEventRecord(events_[turn == 0 ? 1 : 2], stream));
    }
    ORRERY_CHECK(cudaStreamSynchronize(stream));
}

Bench::Gaps Bench::gaps(const std::vector<Subject>& loop, int rounds) {
    Gaps gaps;
    queue_loops(loop, 0);  // warm-up
    for (int round = 0; round < rounds; ++round) {
        timer_.take();
        queue_loops(loop, 3 * round);
        const std::vector<KernelRecord> records = timer_.take();
        const std::size_t each = (records.size() - 1) / 3;  // behind the gate
        double busy[3] = {};
        for (std::size_t i = 1; i < records.size(); ++i) {
            busy[std::min<std::size_t>(2, (i - 1) / each)] +=
                double(records[i].end_ns - records[i].start_ns) / 1000.0;
            if (i > 1)
                gaps.profiled.push_back(
                    double(std::int64_t(records[i].start_ns - records[i - 1].end_ns)) / 1000.0);
        }
        timer_.pause(true);
        queue_loops(loop, 3 * round);
        timer_.pause(false);
        float one = 0, two = 0;
        ORRERY_CHECK(cudaEventElapsedTime(&one, events_[0], events_[1]));
        ORRERY_CHECK(cudaEventElapsedTime(&two, events_[1], events_[2]));
        gaps.plain.push_back((double(two - one) * 1000.0 - (busy[1] + busy[2] - busy[0])) /
                             double(each));
    }
    return gaps;
}

std::vector<double> Bench::graph_gaps(const std::vector<Subject>& loop, int rounds) {
    const cudaStream_t stream = device_.stream();
    const auto queue = [&](int turns) {
        for (int turn = 0; turn < turns; ++turn)
            for (const Subject& s : loop) s.launch(turn % s.sets, stream);
    };
    queue(1);
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    timer_.take();
    constexpr int kTurns = 20;  // of the loop, one by one, for D
    queue(kTurns);
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    const std::vector<KernelRecord> records = timer_.take();
    double busy = 0;
    for (const KernelRecord& r : records) busy += double(r.end_ns - r.start_ns) / 1000.0 / kTurns;
    timer_.pause(true);
    cudaGraphExec_t graphs[2] = {};
    for (const int g : {0, 1}) {
        cudaGraph_t graph = nullptr;
        ORRERY_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
        queue(10 * (g + 1));
        ORRERY_CHECK(cudaStreamEndCapture(stream, &graph));
        ORRERY_CHECK(cudaGraphInstantiate(&graphs[g], graph, 0));
        ORRERY_CHECK(cudaGraphDestroy(graph));
    }
    std::vector<double> gaps;
    for (int round = -3; round < rounds; ++round) {  // three to warm up
        float time[2] = {};
        for (const int g : {0, 1}) {
            ORRERY_CHECK(cudaEventRecord(events_[0], stream));
            ORRERY_CHECK(cudaGraphLaunch(graphs[g], stream));
            ORRERY_CHECK(cudaEventRecord(events_[1], stream));
            ORRERY_CHECK(cudaStreamSynchronize(stream));
            ORRERY_CHECK(cudaEventElapsedTime(&time[g], events_[0], events_[1]));
        }
        const double kernels = double(records.size()) / kTurns;
        if (round >= 0) gaps.push_back((double(time[1] - time[0]) * 100.0 - busy) / kernels);
    }
    for (const cudaGraphExec_t graph : graphs) ORRERY_CHECK(cudaGraphExecDestroy(graph));
    timer_.pause(false);
    return gaps;
}

std::vector<Series> Bench::sustained(const std::vector<Subject>& loop, double seconds,
                                     std::vector<double>* calls_us) {
    const cudaStream_t stream = device_.stream();
    std::uint64_t* probes = clocks_.as<std::uint64_t>();
    for (const Subject& s : loop) s.launch(0, stream);
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    timer_.take();
    PowerLog log(device_.nvml());
    cudaEvent_t chunk[2] = {events_[0], events_[1]};
    int count = 0;
    for (int turn = 0; log.seconds() < seconds && count + 65 < kMostProbes; ++turn) {
        if (turn >= 2) ORRERY_CHECK(cudaEventSynchronize(chunk[turn % 2]));
        for (int i = 0; i < 64; ++i, ++count) {
            const Subject& s = loop[std::size_t(count) % loop.size()];
            kernels::probe_clock(probes + 2 * count, kProbeNs / 2, stream);
            s.launch(count / int(loop.size()) % s.sets, stream);
        }
        ORRERY_CHECK(cudaEventRecord(chunk[turn % 2], stream));
    }
    kernels::probe_clock(probes + 2 * count, kProbeNs, stream);
    ORRERY_CHECK(cudaMemcpyAsync(host_clocks_, probes, std::size_t(count + 1) * 16,
                                 cudaMemcpyDeviceToHost, stream));
    ORRERY_CHECK(cudaStreamSynchronize(stream));
    ORRERY_CHECK(cudaGetLastError());
    const double end = log.seconds();
    const PowerSample power = log.mean(0.6 * end, end);
    const std::vector<Call> calls = calls_between_probes(timer_.take());
    if (int(calls.size()) != count) throw InputError("sustained run: CUPTI lost kernel records");
    if (calls_us) {
        const std::size_t turns = std::size_t(0.6 * double(calls.size())) / loop.size() + 1;
        for (std::size_t i = turns * loop.size(); i < calls.size(); ++i)
            calls_us->push_back(calls[i].microseconds);
    }
    std::vector<Series> result;
    for (std::size_t s = 0; s < loop.size(); ++s) {
        std::vector<double> times, clocks;
        double kernels = 0, clock = 0;
        Series series;
        for (std::size_t i = s; i < calls.size(); i += loop.size()) {
            if (double(i) < 0.6 * double(calls.size())) continue;
            times.push_back(calls[i].microseconds);
            clock += mhz(host_clocks_ + 2 * i);
            kernels += calls[i].kernels;
            series.kernel = calls[i].longest;
        }
        series.time_us = summarize(times);
        series.clock_mhz = times.empty() ? 0 : clock / double(times.size());
        series.power_w = power.power_w;
        series.temperature_c = power.temperature_c;
        series.kernels_per_call = times.empty() ? 0 : kernels / double(times.size());
        result.push_back(series);
    }
    return result;
}

}  // namespace orrery::calibrate
