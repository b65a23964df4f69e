#include "calibrate/gpu/gpu_group.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/gate.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kGateNs = 200'000'000;

// Host memory that every GPU sees.
struct Gate {
    int* open = nullptr;
    Gate() {
        ORRERY_CHECK(
            cudaHostAlloc(reinterpret_cast<void**>(&open), sizeof(int), cudaHostAllocPortable));
    }
    ~Gate() { cudaFreeHost(open); }
    Gate(const Gate&) = delete;
    void set(int value) { *static_cast<volatile int*>(open) = value; }
};

struct EventPair {
    int device;
    cudaEvent_t begin = nullptr, end = nullptr;
    explicit EventPair(int d) : device(d) {
        const OnGpu on(device);
        ORRERY_CHECK(cudaEventCreate(&begin));
        ORRERY_CHECK(cudaEventCreate(&end));
    }
    ~EventPair() {
        cudaEventDestroy(begin);
        cudaEventDestroy(end);
    }
    EventPair(const EventPair&) = delete;
};

struct Batch {
    std::vector<double> longest, shortest;  // of each call but the first
    double event_us = 0;
    int ctas = 0;
};

Batch run_batch(KernelTimer& timer, const GroupSubject& s, Gate& gate,
                const std::vector<std::unique_ptr<EventPair>>& events, int calls) {
    timer.take();
    gate.set(0);
    for (std::size_t i = 0; i < s.lanes.size(); ++i) {
        const OnGpu on(s.lanes[i].device);
        kernels::wait_gate(gate.open, kGateNs, s.lanes[i].stream);
        ORRERY_CHECK(cudaEventRecord(events[i]->begin, s.lanes[i].stream));
    }
    for (int call = 0; call < calls; ++call) s.launch(call);
    for (std::size_t i = 0; i < s.lanes.size(); ++i) {
        const OnGpu on(s.lanes[i].device);
        ORRERY_CHECK(cudaEventRecord(events[i]->end, s.lanes[i].stream));
    }
    gate.set(1);
    Batch batch;
    for (std::size_t i = 0; i < s.lanes.size(); ++i) {
        const OnGpu on(s.lanes[i].device);
        ORRERY_CHECK(cudaStreamSynchronize(s.lanes[i].stream));
        float ms = 0;
        ORRERY_CHECK(cudaEventElapsedTime(&ms, events[i]->begin, events[i]->end));
        batch.event_us = std::max(batch.event_us, double(ms) * 1000 / calls);
    }
    std::map<std::pair<int, std::uint32_t>, std::vector<KernelRecord>> lanes;
    for (const KernelRecord& r : timer.take())
        if (r.is_copy == s.copies && !r.is_memset &&
            r.name.find("gate_kernel") == std::string::npos)
            lanes[{r.device, r.stream}].push_back(r);
    if (lanes.size() != s.lanes.size())
        throw InputError(fmt::format("{}: CUPTI has records of {} streams instead of {}", s.name,
                                     lanes.size(), s.lanes.size()));
    batch.longest.assign(std::size_t(calls), 0);
    batch.shortest.assign(std::size_t(calls), 1e30);
    for (const auto& [lane, records] : lanes) {
        const std::size_t each = records.size() / std::size_t(calls);
        if (each == 0 || each * std::size_t(calls) != records.size())
            throw InputError(
                fmt::format("{}: CUPTI has {} records of {} calls", s.name, records.size(), calls));
        batch.ctas = std::max(batch.ctas, records[0].ctas);
        for (std::size_t c = 0; c < std::size_t(calls); ++c) {
            double us = 0;
            for (std::size_t i = 0; i < each; ++i) {
                const KernelRecord& r = records[c * each + i];
                us += double(r.end_ns - r.start_ns) / 1000;
            }
            batch.longest[c] = std::max(batch.longest[c], us);
            batch.shortest[c] = std::min(batch.shortest[c], us);
        }
    }
    batch.longest.erase(batch.longest.begin());
    batch.shortest.erase(batch.shortest.begin());
    return batch;
}

}  // namespace

OnGpu::OnGpu(int device) {
    ORRERY_CHECK(cudaGetDevice(&before_));
    if (device != before_) ORRERY_CHECK(cudaSetDevice(device));
}
OnGpu::~OnGpu() { cudaSetDevice(before_); }

GpuGroup::GpuGroup() {
    int count = 0;
    ORRERY_CHECK(cudaGetDeviceCount(&count));
    for (int d = 0; d < count; ++d) {
        const OnGpu on(d);
        for (std::vector<Lane>* lanes : {&lanes_, &others_}) {
            lanes->push_back({d, nullptr});
            ORRERY_CHECK(cudaStreamCreateWithFlags(&lanes->back().stream, cudaStreamNonBlocking));
        }
        for (int peer = 0; peer < count; ++peer) {
            int can = 0;
            if (peer == d) continue;
            ORRERY_CHECK(cudaDeviceCanAccessPeer(&can, d, peer));
            if (!can) {
                all_peers_ = false;
                continue;
            }
            const cudaError_t enabled = cudaDeviceEnablePeerAccess(peer, 0);
            if (enabled != cudaErrorPeerAccessAlreadyEnabled)
                check(enabled, "cudaDeviceEnablePeerAccess");
            cudaGetLastError();
        }
    }
}
GpuGroup::~GpuGroup() {
    for (const std::vector<Lane>* lanes : {&lanes_, &others_})
        for (const Lane& lane : *lanes) cudaStreamDestroy(lane.stream);
}
void GpuGroup::synchronize() const {
    for (const Lane& lane : lanes_) {
        const OnGpu on(lane.device);
        ORRERY_CHECK(cudaDeviceSynchronize());
    }
}

GroupSeries time_group(KernelTimer& timer, const GroupSubject& subject, const StoppingRule& rule) {
    constexpr double kBatchUs = 3000;
    const auto begin = std::chrono::steady_clock::now();
    const auto synchronize = [&] {
        for (const Lane& lane : subject.lanes) {
            const OnGpu on(lane.device);
            ORRERY_CHECK(cudaStreamSynchronize(lane.stream));
        }
    };
    Gate gate;
    std::vector<std::unique_ptr<EventPair>> events;
    for (const Lane& lane : subject.lanes)
        events.push_back(std::make_unique<EventPair>(lane.device));
    subject.launch(0);  // warm-up: connections are made, kernels loaded
    synchronize();
    std::vector<double> longest, shortest, event;
    GroupSeries series;
    for (int calls = 4;;) {
        const Batch batch = run_batch(timer, subject, gate, events, calls);
        longest.insert(longest.end(), batch.longest.begin(), batch.longest.end());
        shortest.insert(shortest.end(), batch.shortest.begin(), batch.shortest.end());
        event.push_back(batch.event_us);
        series.longest_us = summarize(longest);
        series.ctas = batch.ctas;
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        if (enough(series.longest_us, spent.count(), rule)) break;
        calls = 1 + std::clamp(int(kBatchUs / std::max(1.0, longest.back())), 3, 16);
    }
    series.shortest_us = summarize(shortest);
    series.least_us = *std::min_element(longest.begin(), longest.end());
    series.event_us = summarize(event).median;
    return series;
}

std::vector<std::int64_t> size_sweep(std::int64_t least, std::int64_t most, int step) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t size = least; size <= most; size *= step) sizes.push_back(size);
    return sizes;
}

std::string size_text(std::int64_t bytes) {
    if (bytes >= 1 << 30) return fmt::format("{} GiB", bytes >> 30);
    if (bytes >= 1 << 20) return fmt::format("{} MiB", bytes >> 20);
    return fmt::format("{} KiB", bytes >> 10);
}

}  // namespace orrery::calibrate
