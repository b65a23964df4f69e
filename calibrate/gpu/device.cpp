#include "calibrate/gpu/device.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "core/error.hpp"
#include "kernels/probe.hpp"

namespace orrery::calibrate {

Buffer::Buffer(std::int64_t bytes) : bytes_(bytes) {
    ORRERY_CHECK(cudaMalloc(&data_, std::size_t(bytes)));
}
Buffer::~Buffer() {
    if (data_) cudaFree(data_);
}

Device::Device(int index, bool allow_busy) {
    int count = 0;
    const cudaError_t found = cudaGetDeviceCount(&count);
    if (found != cudaSuccess || count == 0)
        throw InputError(fmt::format("no CUDA device: {}", found == cudaSuccess
                                                               ? "none visible"
                                                               : cudaGetErrorString(found)));
    if (index >= count)
        throw InputError(fmt::format("--device {}: this machine has {}", index, count));
    ORRERY_CHECK(cudaSetDevice(index));
    cudaDeviceProp p{};
    ORRERY_CHECK(cudaGetDeviceProperties(&p, index));
    char bus[32] = {};
    ORRERY_CHECK(cudaDeviceGetPCIBusId(bus, sizeof bus, index));
    nvml_ = std::make_unique<Nvml>(bus);
    int runtime = 0;
    ORRERY_CHECK(cudaRuntimeGetVersion(&runtime));
    info_ = {p.name,
             nvml_->driver_version(),
             fmt::format("{}.{}", runtime / 1000, runtime % 1000 / 10),
             bus,
             p.multiProcessorCount,
             p.l2CacheSize,
             std::int64_t(p.totalGlobalMem),
             nvml_->highest_clock_mhz(),
             nvml_->power_limit_w()};
    if (!allow_busy && nvml_->utilization_percent() > 20)
        throw InputError(
            fmt::format("GPU {} is busy ({} %): its times would be wrong; wait, or "
                        "pass --allow-busy",
                        index, nvml_->utilization_percent()));
    ORRERY_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

Device::~Device() {
    if (stream_) cudaStreamDestroy(stream_);
}

void Device::allocate_arena() {
    using namespace orrery::kernels;
    if (arena_.out.bytes() > 0) return;
    std::size_t free_bytes = 0, all = 0;
    ORRERY_CHECK(cudaMemGetInfo(&free_bytes, &all));
    constexpr std::int64_t kGb = 1ll << 30;
    // Shares of what is free, at most what the largest shape needs.
    const std::int64_t unit = std::min<std::int64_t>(kGb, std::int64_t(free_bytes) / 44);
    arena_.bf16 = Buffer(12 * unit);
    arena_.e4m3 = Buffer(8 * unit);
    arena_.scales = Buffer(4 * unit);
    arena_.out = Buffer(12 * unit);
    fill_random(arena_.bf16.as<void>(), arena_.bf16.bytes() / 2, Fill::bf16_normal, 1, stream_);
    fill_random(arena_.e4m3.as<void>(), arena_.e4m3.bytes(), Fill::e4m3_normal, 2, stream_);
    fill_random(arena_.scales.as<void>(), arena_.scales.bytes() / 4, Fill::float_scale, 3, stream_);
    fill_random(arena_.out.as<void>(), arena_.out.bytes() / 4, Fill::float_scale, 4, stream_);
    ORRERY_CHECK(cudaStreamSynchronize(stream_));
}

}  // namespace orrery::calibrate
