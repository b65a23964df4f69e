#pragma once
// All GPUs of this machine as one group, and the timing of calls that run on several of them.
//
// Every stream first meets a gate that the host opens when all calls are queued, so calls run back
// to back. A collective's kernels start within microseconds of each other then, and the first call,
// which sees the gates open one after the other, is not counted. A sample is one call: the longest
// and the shortest of its kernels over the streams (their difference is waiting for peers).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/kernel_timer.hpp"
#include "calibrate/statistics.hpp"

namespace orrery::calibrate {

// Makes `device` current, and the former one again at the end.
class OnGpu {
  public:
    explicit OnGpu(int device);
    ~OnGpu();
    OnGpu(const OnGpu&) = delete;

  private:
    int before_ = 0;
};

struct Lane {
    int device = 0;
    cudaStream_t stream = nullptr;
};

class GpuGroup {
  public:
    // Streams on every visible GPU; enables access between all pairs that can.
    GpuGroup();
    ~GpuGroup();
    GpuGroup(const GpuGroup&) = delete;

    int size() const { return int(lanes_.size()); }
    bool all_peers() const { return all_peers_; }  // every GPU can access every other one
    const Lane& lane(int gpu) const { return lanes_[std::size_t(gpu)]; }
    std::vector<Lane> first(int gpus) const { return {lanes_.begin(), lanes_.begin() + gpus}; }
    // A second stream of the GPU.
    const Lane& other_lane(int gpu) const { return others_[std::size_t(gpu)]; }
    void synchronize() const;

  private:
    std::vector<Lane> lanes_, others_;
    bool all_peers_ = true;
};

// Something to time on several streams. `launch(call)` queues one call on all of `lanes`; each lane
// runs the same number of kernels (or copies, where `copies`) a call.
struct GroupSubject {
    std::string name;
    std::vector<Lane> lanes;
    std::function<void(int call)> launch;
    bool copies = false;
};

struct GroupSeries {
    Summary longest_us, shortest_us;  // over the lanes: sum of the call's kernels
    double least_us = 0;              // of longest_us
    double event_us = 0;              // CUDA events around a batch, by the calls in it
    int ctas = 0;                     // grid of a kernel
};

// Throws InputError where CUPTI's records do not add up to whole calls.
GroupSeries time_group(KernelTimer& timer, const GroupSubject& subject, const StoppingRule& rule);

// Sizes from `least` to `most` by factors of `step`.
std::vector<std::int64_t> size_sweep(std::int64_t least, std::int64_t most, int step);
// "64 KiB"
std::string size_text(std::int64_t bytes);

}  // namespace orrery::calibrate
