#include "calibrate/gpu/device.hpp"

#include <algorithm>

#include <dlfcn.h>
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

namespace {

// What is known before a context exists: the context would be a process on the device itself.
GpuState state_of(int index, std::unique_ptr<Nvml>& nvml) {
    GpuState s;
    s.index = index;
    if (void* library = dlopen("libcuda.so.1", RTLD_NOW)) {
        s.driver_library = true;
        dlclose(library);
    }
    s.program_cuda = CUDART_VERSION;
    if (cudaDriverGetVersion(&s.driver_cuda) != cudaSuccess) s.driver_cuda = 0;
    if (cudaGetDeviceCount(&s.devices) != cudaSuccess) s.devices = 0;
    if (index < 0 || index >= s.devices) return s;
    cudaDeviceProp p{};
    char bus[32] = {};
    ORRERY_CHECK(cudaGetDeviceProperties(&p, index));
    ORRERY_CHECK(cudaDeviceGetPCIBusId(bus, sizeof bus, index));
    nvml = std::make_unique<Nvml>(bus);
    s.name = p.name;
    s.major = p.major;
    s.minor = p.minor;
    s.utilization = nvml->utilization_percent();
    s.processes = nvml->compute_processes();
    s.clock_reasons = nvml->clock_reasons();
    s.power_limit_w = nvml->power_limit_w();
    s.default_power_limit_w = nvml->default_power_limit_w();
    return s;
}

std::string short_id(const cudaDeviceProp& p) {
    std::string id;
    for (int i = 0; i < 4; ++i)
        id += fmt::format("{:02x}", static_cast<unsigned char>(p.uuid.bytes[i]));
    return id;
}

}  // namespace

Device::Device(int index, const Allowed& allowed) {
    const std::string refused = refusal(state_of(index, nvml_), allowed);
    if (!refused.empty()) throw InputError(refused);
    ORRERY_CHECK(cudaSetDevice(index));
    cudaDeviceProp p{};
    ORRERY_CHECK(cudaGetDeviceProperties(&p, index));
    char bus[32] = {};
    ORRERY_CHECK(cudaDeviceGetPCIBusId(bus, sizeof bus, index));
    int runtime = 0, memory_khz = 0, bus_bits = 0;
    ORRERY_CHECK(cudaRuntimeGetVersion(&runtime));
    ORRERY_CHECK(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, index));
    ORRERY_CHECK(cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, index));
    info_ = {p.name,
             nvml_->driver_version(),
             fmt::format("{}.{}", runtime / 1000, runtime % 1000 / 10),
             bus,
             short_id(p),
             p.multiProcessorCount,
             p.l2CacheSize,
             std::int64_t(p.totalGlobalMem),
             nvml_->highest_clock_mhz(),
             nvml_->power_limit_w(),
             p.major,
             p.minor,
             memory_khz / 1000.0,
             bus_bits};
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
