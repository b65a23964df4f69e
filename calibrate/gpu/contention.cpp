#include "calibrate/gpu/contention.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/gpu_group.hpp"
#include "core/error.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {
namespace {

constexpr std::int64_t kBufferBytes = 1ll << 30;
constexpr std::int64_t kLongestNs = 20'000'000'000;

}  // namespace

BackgroundCommunication::BackgroundCommunication(const Device& device, int peer)
    : from_(kBufferBytes), report_(kMostCtas * 24), stop_flag_(256) {
    if (peer < 0) {
        to_ = Buffer(kBufferBytes);
    } else {
        const OnGpu on(peer);
        to_ = Buffer(kBufferBytes);
    }
    kernels::fill_random(from_.as<void>(), kBufferBytes / 2, kernels::Fill::bf16_normal, 5,
                         device.stream());
    ORRERY_CHECK(cudaMallocHost(reinterpret_cast<void**>(&started_), 4));
    ORRERY_CHECK(cudaMallocHost(reinterpret_cast<void**>(&host_flag_), 4));
    int low = 0, high = 0;
    ORRERY_CHECK(cudaDeviceGetStreamPriorityRange(&low, &high));
    ORRERY_CHECK(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, high));
    ORRERY_CHECK(cudaStreamCreateWithFlags(&control_, cudaStreamNonBlocking));
    ORRERY_CHECK(cudaStreamSynchronize(device.stream()));
}

BackgroundCommunication::~BackgroundCommunication() {
    if (ctas_ > 0) stop();
    cudaStreamDestroy(stream_);
    cudaStreamDestroy(control_);
    cudaFreeHost(started_);
    cudaFreeHost(host_flag_);
}

bool BackgroundCommunication::start(const CommunicationSetting& setting) {
    *started_ = 0;
    ORRERY_CHECK(cudaMemsetAsync(stop_flag_.as<void>(), 0, 4, control_));
    ORRERY_CHECK(cudaStreamSynchronize(control_));
    const OrreryCommunication what{setting.ctas,
                                   setting.cluster,
                                   setting.whole_sm ? 1 : 0,
                                   setting.gigabytes_per_second,  // GB/s = bytes/ns
                                   from_.as<void>(),
                                   to_.as<void>(),
                                   kBufferBytes,
                                   kLongestNs,
                                   stop_flag_.as<int>(),
                                   started_,
                                   report_.as<std::uint64_t>()};
    check(static_cast<cudaError_t>(orrery_communication_launch(&what, stream_)),
          "orrery_communication_launch");
    ctas_ = setting.ctas;
    const auto begin = std::chrono::steady_clock::now();
    while (*static_cast<volatile int*>(started_) < setting.ctas) {
        if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(2)) {
            stop();
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

CommunicationReport BackgroundCommunication::stop() {
    *host_flag_ = 1;
    ORRERY_CHECK(
        cudaMemcpyAsync(stop_flag_.as<void>(), host_flag_, 4, cudaMemcpyHostToDevice, control_));
    ORRERY_CHECK(cudaStreamSynchronize(control_));
    ORRERY_CHECK(cudaStreamSynchronize(stream_));
    std::vector<std::uint64_t> raw(std::size_t(ctas_) * 3);
    ORRERY_CHECK(
        cudaMemcpy(raw.data(), report_.as<void>(), raw.size() * 8, cudaMemcpyDeviceToHost));
    CommunicationReport report;
    for (int i = 0; i < ctas_; ++i) {
        if (raw[i * 3 + 1] > 0)
            report.gigabytes_per_second += double(raw[i * 3]) / double(raw[i * 3 + 1]);
        report.sms.push_back(int(raw[i * 3 + 2]));
    }
    ctas_ = 0;
    return report;
}

std::optional<Series> beside(const Device& device, Bench& bench, const StoppingRule& rule,
                             BackgroundCommunication& communication, const Subject& subject,
                             const CommunicationSetting& setting, bool operator_first,
                             CommunicationReport& report) {
    if (operator_first)
        for (int i = 0; i < 40; ++i) subject.launch(i % subject.sets, device.stream());
    if (!communication.start(setting)) return std::nullopt;
    Series series = bench.burst(subject, rule, Cache::rotating, operator_first ? 0 : 3);
    report = communication.stop();
    return series;
}

Placement probe_placement(const Device& device) {
    const int sms = device.info().sms;
    Buffer ids(4 * 1024);
    std::vector<int> parent(static_cast<std::size_t>(sms));
    std::iota(parent.begin(), parent.end(), 0);
    const auto root = [&](int v) {
        while (parent[std::size_t(v)] != v) v = parent[std::size_t(v)];
        return v;
    };
    std::set<std::pair<int, int>> pairs;
    for (const int size : {16, 8, 4, 2})
        for (int turn = 0; turn < 20; ++turn) {
            const int clusters = std::max(1, sms / size - turn % 4);
            const cudaError_t launched =
                kernels::probe_clusters(ids.as<std::int32_t>(), clusters, size, device.stream());
            if (launched != cudaSuccess) break;
            std::vector<std::int32_t> host(std::size_t(clusters * size));
            ORRERY_CHECK(cudaStreamSynchronize(device.stream()));
            ORRERY_CHECK(
                cudaMemcpy(host.data(), ids.as<void>(), host.size() * 4, cudaMemcpyDeviceToHost));
            for (int c = 0; c < clusters; ++c)
                for (int i = 1; i < size; ++i) {
                    const int a = host[std::size_t(c * size)], b = host[std::size_t(c * size + i)];
                    parent[std::size_t(root(a))] = root(b);
                    if (size == 2) pairs.insert({std::min(a, b), std::max(a, b)});
                }
        }
    Placement placement;
    placement.pairs.assign(pairs.begin(), pairs.end());
    for (int r = 0; r < sms; ++r) {
        if (root(r) != r) continue;
        std::vector<int> group;
        for (int v = 0; v < sms; ++v)
            if (root(v) == r) group.push_back(v);
        placement.groups.push_back(group);
    }
    return placement;
}

}  // namespace orrery::calibrate
