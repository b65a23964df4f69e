#pragma once
// Device helpers shared by the memory-bound kernels: 16-byte vectors, FP8 packing, reductions.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

namespace orrery::kernels {

using Bf16 = __nv_bfloat16;

constexpr float kE4m3Max = 448.f;  // largest finite E4M3 value

__device__ inline std::uint64_t global_nanoseconds() {
    std::uint64_t t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

// 16 bytes of global memory, a peer's too, that this SM touches once: past L1. Loads are issued in
// the order they are written, so that an unrolled loop keeps all of them in flight.
__device__ inline uint4 load_once(const uint4* p) {
    uint4 v;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p)
                 : "memory");
    return v;
}
// The same where `wanted`, else zeros. Predicated rather than branched around: a branch would wait
// for the load before the next one.
__device__ inline uint4 load_once_if(const uint4* p, bool wanted) {
    uint4 v{};
    asm volatile(
        "{\n.reg .pred q;\nsetp.ne.u32 q, %5, 0;\n"
        "@q ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n}"
        : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
        : "l"(p), "r"(unsigned(wanted))
        : "memory");
    return v;
}
__device__ inline void store_once(uint4* p, uint4 v) {
    asm volatile("st.global.L1::no_allocate.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x),
                 "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
}

// 16 bytes = 8 BF16 values.
__device__ inline void load8(const Bf16* p, float (&f)[8]) {
    const uint4 raw = *reinterpret_cast<const uint4*>(p);
    const __nv_bfloat162* pairs = reinterpret_cast<const __nv_bfloat162*>(&raw);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float2 v = __bfloat1622float2(pairs[i]);
        f[2 * i] = v.x;
        f[2 * i + 1] = v.y;
    }
}
__device__ inline void store8(Bf16* p, const float (&f)[8]) {
    uint4 raw;
    __nv_bfloat162* pairs = reinterpret_cast<__nv_bfloat162*>(&raw);
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(f[2 * i], f[2 * i + 1]);
    *reinterpret_cast<uint4*>(p) = raw;
}
__device__ inline std::uint32_t pack_e4m3(float a, float b, float c, float d) {
    const std::uint32_t low =
        __nv_cvt_float2_to_fp8x2(make_float2(a, b), __NV_SATFINITE, __NV_E4M3);
    const std::uint32_t high =
        __nv_cvt_float2_to_fp8x2(make_float2(c, d), __NV_SATFINITE, __NV_E4M3);
    return low | (high << 16);
}
__device__ inline float2 unpack_e4m3(std::uint16_t pair) {
    const __half2_raw h = __nv_cvt_fp8x2_to_halfraw2(pair, __NV_E4M3);
    return __half22float2(*reinterpret_cast<const __half2*>(&h));
}

// Sum or maximum over `kWidth` neighbouring lanes; every lane gets the result.
template <int kWidth = 32>
__device__ inline float lane_sum(float v) {
#pragma unroll
    for (int d = kWidth / 2; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d, 32);
    return v;
}
template <int kWidth = 32>
__device__ inline float lane_max(float v) {
#pragma unroll
    for (int d = kWidth / 2; d > 0; d /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d, 32));
    return v;
}
// Sum over the block (blockDim.x a multiple of 32, at most 1,024); every thread gets the result.
__device__ inline float block_sum(float v) {
    __shared__ float parts[32];
    const int warps = int(blockDim.x) / 32;
    v = lane_sum(v);
    if (warps == 1) return v;
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    float total = 0;
    for (int i = 0; i < warps; ++i) total += parts[i];
    return total;
}

inline int blocks_for(std::int64_t items, int per_block) {
    return int((items + per_block - 1) / per_block);
}

}  // namespace orrery::kernels
