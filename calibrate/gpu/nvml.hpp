#pragma once
// SM clock, power and temperature of a GPU from NVML, opened at run time: a machine without it
// still calibrates, with the clocks left out.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace orrery::calibrate {

class Nvml {
  public:
    // `pci_bus_id` as CUDA prints it ("0000:01:00.0").
    explicit Nvml(const std::string& pci_bus_id);
    ~Nvml();
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    bool available() const { return device_ != nullptr; }
    std::string driver_version() const;  // empty where not available
    double clock_mhz() const;            // SM clock now; 0 where not available, as all below
    double highest_clock_mhz() const;    // what the SM clock can reach
    double power_w() const;
    double power_limit_w() const;
    double default_power_limit_w() const;
    std::uint64_t clock_reasons() const;              // nvmlClocksEventReason* bits
    std::vector<unsigned> compute_processes() const;  // process ids with a context on the device
    double temperature_c() const;
    unsigned utilization_percent() const;  // share of the last second or so with a kernel running

  private:
    unsigned ask(const char* function) const;
    unsigned ask(const char* function, int selector) const;
    void* library_ = nullptr;
    void* device_ = nullptr;
};

struct PowerSample {
    double seconds = 0;  // since the log began
    double clock_mhz = 0, power_w = 0, temperature_c = 0;
};

// Samples clock and power every 20 ms in a thread of its own.
class PowerLog {
  public:
    explicit PowerLog(const Nvml& nvml);
    ~PowerLog();
    double seconds() const;  // since the log began
    // Mean over samples with from <= seconds < to; zeros where there are none.
    PowerSample mean(double from, double to) const;
    std::vector<PowerSample> samples() const;

  private:
    const Nvml& nvml_;
    std::chrono::steady_clock::time_point begin_;
    mutable std::mutex mutex_;
    std::vector<PowerSample> samples_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace orrery::calibrate
