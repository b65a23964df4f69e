#include "kernels/common.cuh"
#include "kernels/elementwise.hpp"

namespace orrery::kernels {
namespace {

// Vectors a thread takes, blockDim.x apart: four independent loads in flight.
constexpr int kPerThread = 4;
constexpr int kThreads = 256;
constexpr int kPerBlock = kThreads * kPerThread;

__global__ __launch_bounds__(kThreads) void add_kernel(const Bf16* __restrict__ a,
                                                       const Bf16* __restrict__ b,
                                                       Bf16* __restrict__ y, std::int64_t vectors) {
    const std::int64_t first = std::int64_t(blockIdx.x) * kPerBlock + threadIdx.x;
    float u[kPerThread][8], v[kPerThread][8];
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
        const std::int64_t at = first + i * kThreads;
        if (at < vectors) {
            load8(a + at * 8, u[i]);
            load8(b + at * 8, v[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
        const std::int64_t at = first + i * kThreads;
        if (at >= vectors) return;
#pragma unroll
        for (int j = 0; j < 8; ++j) u[i][j] += v[i][j];
        store8(y + at * 8, u[i]);
    }
}

__global__ __launch_bounds__(kThreads) void copy_kernel(const uint4* __restrict__ from,
                                                        uint4* __restrict__ to,
                                                        std::int64_t vectors) {
    const std::int64_t first = std::int64_t(blockIdx.x) * kPerBlock + threadIdx.x;
    uint4 v[kPerThread];
#pragma unroll
    for (int i = 0; i < kPerThread; ++i)
        if (first + i * kThreads < vectors) v[i] = from[first + i * kThreads];
#pragma unroll
    for (int i = 0; i < kPerThread; ++i)
        if (first + i * kThreads < vectors) to[first + i * kThreads] = v[i];
}

__global__ __launch_bounds__(kThreads) void zero_kernel(uint4* to, std::int64_t vectors) {
    const std::int64_t first = std::int64_t(blockIdx.x) * kPerBlock + threadIdx.x;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i)
        if (first + i * kThreads < vectors) to[first + i * kThreads] = make_uint4(0, 0, 0, 0);
}

// 8 lanes a head, 8 values a lane; 32 heads a block.
__global__ __launch_bounds__(256) void rope_kernel(Bf16* __restrict__ x,
                                                   const float* __restrict__ cosine,
                                                   const float* __restrict__ sine,
                                                   std::int64_t all_heads, std::int64_t heads,
                                                   std::int64_t stride) {
    const std::int64_t head = std::int64_t(blockIdx.x) * 32 + threadIdx.x / 8;
    if (head >= all_heads) return;
    const int lane = int(threadIdx.x) % 8;
    Bf16* at = x + head * stride + (stride - 64) + lane * 8;
    const std::int64_t token = head / heads;
    const float4 c = reinterpret_cast<const float4*>(cosine + token * 32)[lane];
    const float4 s = reinterpret_cast<const float4*>(sine + token * 32)[lane];
    const float cs[4] = {c.x, c.y, c.z, c.w}, sn[4] = {s.x, s.y, s.z, s.w};
    float v[8];
    load8(at, v);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float even = v[2 * i], odd = v[2 * i + 1];
        v[2 * i] = even * cs[i] - odd * sn[i];
        v[2 * i + 1] = even * sn[i] + odd * cs[i];
    }
    store8(at, v);
}

__global__ __launch_bounds__(kThreads) void squares_kernel(const float4* __restrict__ x,
                                                           float* result, std::int64_t vectors) {
    float total = 0;
    for (std::int64_t first = std::int64_t(blockIdx.x) * kPerBlock + threadIdx.x; first < vectors;
         first += std::int64_t(gridDim.x) * kPerBlock) {
        float4 v[kPerThread];
#pragma unroll
        for (int i = 0; i < kPerThread; ++i)
            v[i] =
                first + i * kThreads < vectors ? x[first + i * kThreads] : make_float4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < kPerThread; ++i)
            total += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z + v[i].w * v[i].w;
    }
    total = block_sum(total);
    if (threadIdx.x == 0) atomicAdd(result, total);
}

__device__ inline void load4(const Bf16* p, float (&f)[4]) {
    const uint2 raw = *reinterpret_cast<const uint2*>(p);
    const float2 a = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162*>(&raw)[0]);
    const float2 b = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162*>(&raw)[1]);
    f[0] = a.x, f[1] = a.y, f[2] = b.x, f[3] = b.y;
}
__device__ inline void store4(Bf16* p, const float (&f)[4]) {
    uint2 raw;
    reinterpret_cast<__nv_bfloat162*>(&raw)[0] = __floats2bfloat162_rn(f[0], f[1]);
    reinterpret_cast<__nv_bfloat162*>(&raw)[1] = __floats2bfloat162_rn(f[2], f[3]);
    *reinterpret_cast<uint2*>(p) = raw;
}

__global__ __launch_bounds__(256) void adamw_kernel(float* __restrict__ master,
                                                    const float* __restrict__ gradient,
                                                    Bf16* __restrict__ first,
                                                    Bf16* __restrict__ second,
                                                    Bf16* __restrict__ weight, std::int64_t vectors,
                                                    AdamW a, float correct1, float correct2) {
    const std::int64_t at = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
    if (at >= vectors) return;
    float4 w4 = reinterpret_cast<float4*>(master)[at];
    const float4 g4 = reinterpret_cast<const float4*>(gradient)[at];
    float w[4] = {w4.x, w4.y, w4.z, w4.w}, m[4], v[4];
    const float g[4] = {g4.x, g4.y, g4.z, g4.w};
    load4(first + at * 4, m);
    load4(second + at * 4, v);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        m[i] = a.beta1 * m[i] + (1 - a.beta1) * g[i];
        v[i] = a.beta2 * v[i] + (1 - a.beta2) * g[i] * g[i];
        const float update = m[i] * correct1 / (sqrtf(v[i] * correct2) + a.epsilon);
        w[i] -= a.learning_rate * (update + a.weight_decay * w[i]);
    }
    reinterpret_cast<float4*>(master)[at] = make_float4(w[0], w[1], w[2], w[3]);
    store4(first + at * 4, m);
    store4(second + at * 4, v);
    store4(weight + at * 4, w);
}

}  // namespace

void add(const Bf16* a, const Bf16* b, Bf16* y, std::int64_t n, cudaStream_t stream) {
    add_kernel<<<blocks_for(n / 8, kPerBlock), kThreads, 0, stream>>>(a, b, y, n / 8);
}
void copy_bytes(const void* from, void* to, std::int64_t n, cudaStream_t stream) {
    copy_kernel<<<blocks_for(n / 16, kPerBlock), kThreads, 0, stream>>>(
        static_cast<const uint4*>(from), static_cast<uint4*>(to), n / 16);
}
void zero_bytes(void* to, std::int64_t n, cudaStream_t stream) {
    zero_kernel<<<blocks_for(n / 16, kPerBlock), kThreads, 0, stream>>>(static_cast<uint4*>(to),
                                                                        n / 16);
}
void rope(Bf16* x, const float* cosine, const float* sine, std::int64_t tokens, std::int64_t heads,
          std::int64_t stride, cudaStream_t stream) {
    rope_kernel<<<blocks_for(tokens * heads, 32), 256, 0, stream>>>(x, cosine, sine, tokens * heads,
                                                                    heads, stride);
}
void add_squares(const float* x, float* result, std::int64_t n, cudaStream_t stream) {
    const int whole = blocks_for(n / 4, kPerBlock), blocks = whole < 1056 ? whole : 1056;
    squares_kernel<<<blocks, kThreads, 0, stream>>>(reinterpret_cast<const float4*>(x), result,
                                                    n / 4);
}
void adamw(float* master, const float* gradient, Bf16* first, Bf16* second, Bf16* weight,
           std::int64_t n, const AdamW& settings, cudaStream_t stream) {
    const float correct1 = 1.f / (1.f - powf(settings.beta1, float(settings.step)));
    const float correct2 = 1.f / (1.f - powf(settings.beta2, float(settings.step)));
    adamw_kernel<<<blocks_for(n / 4, 256), 256, 0, stream>>>(
        master, gradient, first, second, weight, n / 4, settings, correct1, correct2);
}

}  // namespace orrery::kernels
