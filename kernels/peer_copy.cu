#include "kernels/common.cuh"
#include "kernels/peer_copy.hpp"

namespace orrery::kernels {
namespace {

constexpr int kThreads = 640;
constexpr int kVectors = 14;  // 16-byte loads in flight a thread

__global__ __launch_bounds__(kThreads, 1) void copy_by_sms_kernel(const uint4* from, uint4* to,
                                                                  std::int64_t vectors) {
    constexpr std::int64_t kChunk = std::int64_t(kThreads) * kVectors;
    for (std::int64_t at = blockIdx.x * kChunk; at < vectors; at += gridDim.x * kChunk) {
        uint4 v[kVectors];
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
            const std::int64_t n = at + i * kThreads + threadIdx.x;
            if (n < vectors) v[i] = load_once(from + n);
        }
#pragma unroll
        for (int i = 0; i < kVectors; ++i) {
            const std::int64_t n = at + i * kThreads + threadIdx.x;
            if (n < vectors) store_once(to + n, v[i]);
        }
    }
    __threadfence_system();
}

}  // namespace

void copy_by_sms(const void* from, void* to, std::int64_t bytes, int ctas, cudaStream_t stream) {
    copy_by_sms_kernel<<<unsigned(ctas), kThreads, 0, stream>>>(
        static_cast<const uint4*>(from), static_cast<uint4*>(to), bytes / 16);
}

}  // namespace orrery::kernels
