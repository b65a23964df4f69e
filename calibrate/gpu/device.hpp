#pragma once
// The GPU being calibrated: what it is, its memory arenas filled with random operands, its stream.

#include <cstdint>
#include <memory>
#include <string>

#include <cuda_runtime_api.h>

#include "calibrate/gpu/nvml.hpp"
#include "calibrate/preflight.hpp"

namespace orrery::calibrate {

struct DeviceInfo {
    std::string name, driver, cuda, pci_bus_id;
    std::string id;  // of this one GPU: the first 8 digits of its UUID
    int sms = 0;
    std::int64_t l2_bytes = 0, memory_bytes = 0;
    double highest_clock_mhz = 0, power_limit_w = 0;
    int major = 0, minor = 0;     // compute capability
    double memory_clock_mhz = 0;  // as the driver gives it, and the bus' width
    int memory_bus_bits = 0;
};

// Device memory freed with the object.
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::int64_t bytes);
    ~Buffer();
    Buffer(Buffer&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
        other.data_ = nullptr;
    }
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }
    std::int64_t bytes() const { return bytes_; }

  private:
    void* data_ = nullptr;
    std::int64_t bytes_ = 0;
};

// Regions of random operands that subjects take slices of, so that no shape costs an allocation.
// Slices of different sets never overlap as long as sets * bytes fits the region.
struct Arena {
    Buffer bf16, e4m3, scales, out;  // normal BF16, normal E4M3, floats 0.5..2, results
};

class Device {
  public:
    // One-line InputErrors: no driver or device, one that the kernels do not run on, a device that
    // is in use or throttled (calibrate/preflight.hpp).
    Device(int index, const Allowed& allowed);
    Device(const Device&) = delete;
    ~Device();

    const DeviceInfo& info() const { return info_; }
    const Nvml& nvml() const { return *nvml_; }
    const Arena& arena() const { return arena_; }
    cudaStream_t stream() const { return stream_; }
    void allocate_arena();

  private:
    DeviceInfo info_;
    std::unique_ptr<Nvml> nvml_;
    Arena arena_;
    cudaStream_t stream_ = nullptr;
};

}  // namespace orrery::calibrate
