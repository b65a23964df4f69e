#include <cuda_runtime.h>

#include "kernels/communication.hpp"

namespace {

constexpr int kThreads = 512;
constexpr int kVectors = 4;                                // 16-byte loads in flight a thread
constexpr std::int64_t kChunk = kThreads * kVectors * 16;  // bytes read (and written) at a time
constexpr int kWholeSm = 200 * 1024;

__device__ inline std::uint64_t global_nanoseconds() {
    std::uint64_t t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

__global__ __launch_bounds__(kThreads) void communicate(OrreryCommunication c) {
    __shared__ int stop;
    const std::uint64_t begin = global_nanoseconds();
    if (threadIdx.x == 0) {
        atomicAdd_system(const_cast<int*>(c.started), 1);
        __threadfence_system();
    }
    const double rate = c.bytes_per_ns / c.ctas;
    const std::int64_t slice = c.buffer_bytes / c.ctas / kChunk * kChunk;
    const char* from = static_cast<const char*>(c.from) + blockIdx.x * slice;
    char* to = static_cast<char*>(c.to) + blockIdx.x * slice;
    std::uint64_t moved = 0;
    std::int64_t at = 0;
    while (true) {
        __syncthreads();
        if (threadIdx.x == 0)
            stop = *c.stop || std::int64_t(global_nanoseconds() - begin) > c.longest_ns;
        __syncthreads();
        if (stop) break;
        if (c.bytes_per_ns == 0) {  // wait as a receiver does: every warp polls a flag
            for (int i = 0; i < 64; ++i)
                if (threadIdx.x % 32 == 0 && *c.stop) break;
            continue;
        }
        uint4 v[kVectors];
#pragma unroll
        for (int i = 0; i < kVectors; ++i)
            v[i] = __ldcs(reinterpret_cast<const uint4*>(from + at) + i * kThreads + threadIdx.x);
#pragma unroll
        for (int i = 0; i < kVectors; ++i)
            __stcs(reinterpret_cast<uint4*>(to + at) + i * kThreads + threadIdx.x, v[i]);
        moved += 2 * kChunk;
        at = at + kChunk < slice ? at + kChunk : 0;
        if (rate > 0 && threadIdx.x == 0) {
            const std::uint64_t due = begin + std::uint64_t(double(moved) / rate);
            while (global_nanoseconds() < due && !*c.stop) {
            }
        }
    }
    if (threadIdx.x == 0) {
        std::uint32_t sm;
        asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
        c.report[blockIdx.x * 3] = moved;
        c.report[blockIdx.x * 3 + 1] = global_nanoseconds() - begin;
        c.report[blockIdx.x * 3 + 2] = sm;
    }
}

}  // namespace

extern "C" int orrery_communication_launch(const OrreryCommunication* what, void* stream) {
    cudaFuncSetAttribute(communicate, cudaFuncAttributeMaxDynamicSharedMemorySize, kWholeSm);
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned(what->ctas));
    config.blockDim = dim3(kThreads);
    config.dynamicSmemBytes = what->whole_sm ? kWholeSm : 0;
    config.stream = static_cast<cudaStream_t>(stream);
    cudaLaunchAttribute attributes[2] = {};
    attributes[0].id = cudaLaunchAttributeClusterDimension;
    attributes[0].val.clusterDim.x = unsigned(what->cluster);
    attributes[0].val.clusterDim.y = attributes[0].val.clusterDim.z = 1;
    attributes[1].id = cudaLaunchAttributeCooperative;
    attributes[1].val.cooperative = 1;
    config.attrs = attributes;
    config.numAttrs = 2;
    cudaLaunchKernelEx(&config, communicate, *what);
    return int(cudaGetLastError());
}
