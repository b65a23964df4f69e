#include "kernels/common.cuh"
#include "kernels/probe.hpp"

namespace orrery::kernels {
namespace {

// SplitMix64: a counter hash.
__device__ inline std::uint64_t mix(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
// Sum of twelve 5-bit uniforms, centred: near enough to a normal value of deviation 1, |v| < 6.
__device__ inline float normal(std::uint64_t h) {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += float((h >> (5 * i)) & 31);
    return (sum + float(h >> 60) / 16.f - 186.47f) / 31.98f;
}

__global__ void fill_kernel(void* to, std::int64_t n, Fill kind, std::uint64_t seed) {
    for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
         i += std::int64_t(gridDim.x) * blockDim.x) {
        const std::uint64_t h = mix(seed + std::uint64_t(i));
        if (kind == Fill::bf16_normal)
            static_cast<Bf16*>(to)[i] = __float2bfloat16(normal(h));
        else if (kind == Fill::e4m3_normal)
            static_cast<std::uint8_t*>(to)[i] =
                __nv_cvt_float_to_fp8(normal(h) * 112.f, __NV_SATFINITE, __NV_E4M3);
        else
            static_cast<float*>(to)[i] = 0.5f + 1.5f * float(h >> 40) / float(1 << 24);
    }
}

__global__ void clock_kernel(std::uint64_t* result, std::int64_t nanoseconds) {
    std::uint64_t before = global_nanoseconds(), t0 = before;
    while (t0 == before) t0 = global_nanoseconds();
    const std::uint64_t c0 = clock64();
    std::uint64_t t1 = t0;
    while (t1 < t0 + std::uint64_t(nanoseconds)) t1 = global_nanoseconds();
    const std::uint64_t c1 = clock64();
    result[0] = c1 - c0;
    result[1] = t1 - t0;
}

__global__ __launch_bounds__(256) void flush_kernel(const uint4* __restrict__ buffer,
                                                    std::int64_t vectors, float* sink) {
    std::uint32_t x = 0;
    const std::int64_t first = std::int64_t(blockIdx.x) * 1024 + threadIdx.x;
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (first + i * 256 < vectors) {
            const uint4 v = buffer[first + i * 256];
            x ^= v.x ^ v.y ^ v.z ^ v.w;
        }
    if (x == 0x12345678u) *sink = 1;
}

__global__ void cluster_kernel(std::int32_t* sm) {
    extern __shared__ std::uint8_t whole_sm[];
    std::uint32_t id;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
    if (threadIdx.x == 0) {
        whole_sm[0] = 0;
        sm[blockIdx.x] = std::int32_t(id);
        const std::uint64_t t0 = global_nanoseconds();
        while (global_nanoseconds() < t0 + 20000) {
        }
    }
}

}  // namespace

void fill_random(void* to, std::int64_t n, Fill kind, std::uint64_t seed, cudaStream_t stream) {
    fill_kernel<<<132 * 16, 256, 0, stream>>>(to, n, kind, seed);
}
void probe_clock(std::uint64_t* result, std::int64_t nanoseconds, cudaStream_t stream) {
    clock_kernel<<<1, 1, 0, stream>>>(result, nanoseconds);
}
void flush_l2(const void* buffer, std::int64_t n, float* sink, cudaStream_t stream) {
    flush_kernel<<<blocks_for(n / 16, 1024), 256, 0, stream>>>(static_cast<const uint4*>(buffer),
                                                               n / 16, sink);
}
cudaError_t probe_clusters(std::int32_t* sm, int clusters, int cluster_size, cudaStream_t stream) {
    constexpr int kShared = 200 * 1024;
    cudaFuncSetAttribute(cluster_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared);
    cudaFuncSetAttribute(cluster_kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned(clusters * cluster_size));
    config.blockDim = dim3(32);
    config.dynamicSmemBytes = kShared;
    config.stream = stream;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = unsigned(cluster_size);
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    cudaLaunchKernelEx(&config, cluster_kernel, sm);
    return cudaGetLastError();
}

}  // namespace orrery::kernels
