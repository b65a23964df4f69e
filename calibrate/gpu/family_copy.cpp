// Copies: on one GPU, between host and GPU, and between GPUs by copy engines and by SMs.

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gpu_group.hpp"
#include "kernels/peer_copy.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {
namespace {

constexpr StoppingRule kRule{6, 24, 0.01, 0.06};
constexpr std::int64_t kKb = 1 << 10, kMb = 1 << 20, kGb = 1 << 30;

// Pinned host memory.
class HostBuffer {
  public:
    explicit HostBuffer(std::int64_t bytes) {
        ORRERY_CHECK(cudaHostAlloc(&data_, std::size_t(bytes), cudaHostAllocPortable));
    }
    ~HostBuffer() { cudaFreeHost(data_); }
    HostBuffer(const HostBuffer&) = delete;
    void* get() const { return data_; }

  private:
    void* data_ = nullptr;
};

Buffer filled(const Lane& lane, std::int64_t bytes) {
    const OnGpu on(lane.device);
    Buffer buffer(bytes);
    kernels::fill_random(buffer.as<void>(), bytes / 2, kernels::Fill::bf16_normal, 7, lane.stream);
    ORRERY_CHECK(cudaStreamSynchronize(lane.stream));
    return buffer;
}

// `moved`: bytes read + written on one GPU; bytes of each direction between memories.
struct Case {
    std::string path, way;  // "device", "SMs"
    int from = 0, to = 0;   // GPU, -1: host
    int ctas = 0;
    std::int64_t bytes = 0;
    double moved = 0;
};

void measure(const Session& session, const Case& c, const GroupSubject& subject) {
    static const Table kTable{"copy",
                              {"path", "way", "from", "to", "ctas", "bytes", "time_us", "GBps",
                               "least_us", "p95_us", "n_samples", "spread", "event_us"},
                              6,
                              {}};
    Row row{c.path, c.way, double(c.from), double(c.to), double(c.ctas), double(c.bytes)};
    if (session.journal.has(kTable.name, row)) return;
    const GroupSeries r = time_group(session.bench.timer(), subject, kRule);
    const double us = r.longest_us.median, rate = c.moved / us * 1e-3;
    row.insert(row.end(), {us, rate, r.least_us, r.longest_us.high, double(r.longest_us.n),
                           r.longest_us.spread, r.event_us});
    session.journal.add(kTable, row);
    const std::string ctas = c.ctas ? fmt::format(" ({} CTAs)", c.ctas) : "";
    const std::string pair =
        c.from >= 0 && c.to >= 0 && c.from != c.to ? fmt::format(", {} -> {}", c.from, c.to) : "";
    session.progress(fmt::format("{} by {}{}{}, {}: {:.1f} us, {:.1f} GB/s", c.path, c.way, ctas,
                                 pair, size_text(c.bytes), us, rate));
}

void copy_on_device(const Session& session, const GpuGroup& gpus, int sms) {
    const Lane lane = gpus.lane(0);
    std::size_t free_bytes = 0, all = 0;
    ORRERY_CHECK(cudaMemGetInfo(&free_bytes, &all));
    std::int64_t most = 4 * kGb;
    while (most > std::int64_t(free_bytes) / 3) most /= 4;
    const Buffer from = filled(lane, most), to = filled(lane, most);
    for (const std::int64_t bytes : size_sweep(64 * kKb, most, 4)) {
        Case c{"device", "cudaMemcpyAsync", 0, 0, 0, bytes, 2.0 * double(bytes)};
        // Small copies rotate through the buffers, so that they come from device memory.
        const std::int64_t places = std::min<std::int64_t>(most / bytes, 4096);
        const auto at = [&](int call) { return std::size_t(call % places * bytes); };
        measure(session, c,
                {"copy",
                 {lane},
                 [&](int i) {
                     ORRERY_CHECK(cudaMemcpyAsync(to.as<char>() + at(i), from.as<char>() + at(i),
                                                  std::size_t(bytes), cudaMemcpyDeviceToDevice,
                                                  lane.stream));
                 },
                 true});
        for (const int ctas : {20, sms}) {
            c.way = "SMs";
            c.ctas = ctas;
            measure(session, c,
                    {"copy",
                     {lane},
                     [&](int i) {
                         kernels::copy_by_sms(from.as<char>() + at(i), to.as<char>() + at(i), bytes,
                                              ctas, lane.stream);
                     },
                     false});
        }
    }
}

void copy_with_host(const Session& session, const GpuGroup& gpus) {
    constexpr std::int64_t kMost = 256 * kMb;
    const Lane lane = gpus.lane(0), other = gpus.other_lane(0);
    const HostBuffer in(kMost), out(kMost);
    const Buffer a = filled(lane, kMost), b = filled(lane, kMost);
    const auto up = [&](std::int64_t n) {
        ORRERY_CHECK(cudaMemcpyAsync(a.as<void>(), in.get(), std::size_t(n), cudaMemcpyHostToDevice,
                                     lane.stream));
    };
    const auto down = [&](std::int64_t n, const Lane& on) {
        ORRERY_CHECK(cudaMemcpyAsync(out.get(), b.as<void>(), std::size_t(n),
                                     cudaMemcpyDeviceToHost, on.stream));
    };
    for (const std::int64_t n : size_sweep(64 * kKb, kMost, 4)) {
        const Case c{"host to device", "cudaMemcpyAsync", -1, 0, 0, n, double(n)};
        measure(session, c, {"copy", {lane}, [&](int) { up(n); }, true});
        Case d = c;
        d.path = "device to host";
        d.from = 0;
        d.to = -1;
        measure(session, d, {"copy", {lane}, [&](int) { down(n, lane); }, true});
        d.path = "host and device both ways";
        measure(session, d, {"copy", {lane, other}, [&](int) { up(n), down(n, other); }, true});
    }
}

// Copies between GPU 0 and 1 in detail, each way and both ways.
void copy_between(const Session& session, const GpuGroup& gpus) {
    const Lane lanes[2] = {gpus.lane(0), gpus.lane(1)};
    const Buffer from[2] = {filled(lanes[0], kGb), filled(lanes[1], kGb)};
    const Buffer to[2] = {filled(lanes[0], kGb), filled(lanes[1], kGb)};
    const auto by_engine = [&](int source, std::int64_t n) {
        const int d = 1 - source;
        const OnGpu on(lanes[source].device);
        ORRERY_CHECK(cudaMemcpyPeerAsync(to[d].as<void>(), lanes[d].device, from[source].as<void>(),
                                         lanes[source].device, std::size_t(n),
                                         lanes[source].stream));
    };
    for (const std::int64_t n : size_sweep(64 * kKb, kGb, 4)) {
        Case c{"peer", "cudaMemcpyPeerAsync", 0, 1, 0, n, double(n)};
        measure(session, c, {"copy", {lanes[0]}, [&](int) { by_engine(0, n); }, true});
        std::swap(c.from, c.to);
        measure(session, c, {"copy", {lanes[1]}, [&](int) { by_engine(1, n); }, true});
        c.path = "peer both ways";
        measure(
            session, c,
            {"copy", {lanes[0], lanes[1]}, [&](int) { by_engine(0, n), by_engine(1, n); }, true});
    }
    // SMs of GPU `at` write to (push) or read from (pull) the other one.
    const auto by_sms = [&](int at, bool push, int ctas, std::int64_t n) {
        const OnGpu on(lanes[at].device);
        const int p = 1 - at;
        kernels::copy_by_sms(push ? from[at].as<void>() : from[p].as<void>(),
                             push ? to[p].as<void>() : to[at].as<void>(), n, ctas,
                             lanes[at].stream);
    };
    for (const std::int64_t n : {kMb, 16 * kMb, 128 * kMb})
        for (const int ctas : {1, 2, 4, 8, 12, 16, 20, 24, 32, 64})
            for (const bool push : {true, false}) {
                Case c{
                    "peer",   push ? "SMs push" : "SMs pull", push ? 0 : 1, push ? 1 : 0, ctas, n,
                    double(n)};
                measure(session, c,
                        {"copy", {lanes[0]}, [&](int) { by_sms(0, push, ctas, n); }, false});
                c.path = "peer both ways";
                measure(session, c,
                        {"copy",
                         {lanes[0], lanes[1]},
                         [&](int) { by_sms(0, push, ctas, n), by_sms(1, push, ctas, n); },
                         false});
            }
}

// Every ordered pair, one size: are all pairs alike?
void copy_all_pairs(const Session& session, const GpuGroup& gpus) {
    constexpr std::int64_t kBytes = 256 * kMb;
    std::vector<Buffer> buffers;
    for (int g = 0; g < gpus.size(); ++g) buffers.push_back(filled(gpus.lane(g), 2 * kBytes));
    for (int s = 0; s < gpus.size(); ++s)
        for (int d = 0; d < gpus.size(); ++d) {
            if (s == d) continue;
            const Lane& lane = gpus.lane(s);
            measure(session, {"peer", "SMs push", s, d, 32, kBytes, double(kBytes)},
                    {"copy",
                     {lane},
                     [&](int) {
                         const OnGpu on(lane.device);
                         kernels::copy_by_sms(buffers[std::size_t(s)].as<void>(),
                                              buffers[std::size_t(d)].as<char>() + kBytes, kBytes,
                                              32, lane.stream);
                     },
                     false});
        }
}

}  // namespace

void measure_copy(const Session& session) {
    const GpuGroup gpus;
    session.bench.timer().record_copies(true);
    copy_on_device(session, gpus, session.device.info().sms);
    copy_with_host(session, gpus);
    if (gpus.size() < 2) {
        session.progress("left out: peer copies need two GPUs, this machine has one");
    } else if (!gpus.all_peers()) {
        session.progress("left out: peer copies, not all GPUs can access each other's memory");
    } else {
        copy_between(session, gpus);
        copy_all_pairs(session, gpus);
    }
    session.bench.timer().record_copies(false);
}

}  // namespace orrery::calibrate
