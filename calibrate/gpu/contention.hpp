#pragma once
// Operators beside a communication-like kernel that owns some SMs.

#include <memory>
#include <optional>
#include <vector>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/measure.hpp"
#include "kernels/communication.hpp"

namespace orrery::calibrate {

struct CommunicationSetting {
    int ctas = 20;
    int cluster = 2;
    bool whole_sm = true;
    double gigabytes_per_second = 0;  // read + written; 0 polls only, < 0 as fast as it can
};

struct CommunicationReport {
    double gigabytes_per_second = 0;  // achieved
    std::vector<int> sms;             // SM of each CTA
};

// Runs the communication kernel on a stream of its own between start() and stop().
class BackgroundCommunication {
  public:
    // Writes to memory of its own, or of GPU `peer` (peer access enabled): half of the bytes it
    // moves then cross NVLink. The device must be current here and in start() and stop().
    explicit BackgroundCommunication(const Device& device, int peer = -1);
    ~BackgroundCommunication();
    BackgroundCommunication(const BackgroundCommunication&) = delete;

    // Launches, and returns once every CTA runs. False where they do not start within 2 s (an SM
    // they need is taken): the kernel is stopped again.
    bool start(const CommunicationSetting& setting);
    CommunicationReport stop();

  private:
    static constexpr int kMostCtas = 132;
    Buffer from_, to_, report_, stop_flag_;
    int* started_ = nullptr;  // host memory both sides see
    int* host_flag_ = nullptr;
    cudaStream_t stream_ = nullptr, control_ = nullptr;
    int ctas_ = 0;
};

// Times the subject beside the communication kernel. With `operator_first`, calls of the operator
// already hold their SMs when the communication kernel arrives. nullopt where it cannot start.
std::optional<Series> beside(const Device& device, Bench& bench, const StoppingRule& rule,
                             BackgroundCommunication& communication, const Subject& subject,
                             const CommunicationSetting& setting, bool operator_first,
                             CommunicationReport& report);

// Groups of SMs that one cluster can span (GPCs), found by launching clusters of `size` that own
// their SMs and joining what appears together. Also the SM pairs of clusters of two.
struct Placement {
    std::vector<std::vector<int>> groups;
    std::vector<std::pair<int, int>> pairs;  // distinct, sorted
};
Placement probe_placement(const Device& device);

}  // namespace orrery::calibrate
