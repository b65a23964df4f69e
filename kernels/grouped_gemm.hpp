#pragma once
// FP8 (E4M3) block-scaled grouped GEMMs for Hopper; cuBLASLt has none. FP32 accumulation: the
// tensor core's sum is scaled and added into FP32 registers every 128 of K.
//
//   contiguous, masked   y[r, :] = sum_kb xs[kb, r] * ws[g, :/128, kb] * x[r, kb] . w[g, :, kb]
//   k_grouped            y[g] (+)= sum over g's kb of as[kb, :] bs[kb, :] * a[:, kb] . b[:, kb]^T
//
// 2 * rows * n * k FLOP; least bytes: operands, scales and result once each.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// How the work is cut; all zero: chosen from the shape.
struct GroupedTiling {
    int sms = 0;        // CTAs at most, one per SM; 0: all
    int tile_rows = 0;  // 128 or 256; columns are 128
    int cluster = 0;    // CTAs that share x through TMA multicast: 1 or 2
};

struct GroupedGemmShape {
    int groups = 0;
    std::int64_t n = 0, k = 0;  // multiples of 128
};

// Forward and input gradient. x [rows, k] with 1x128 scales [k/128, rows] (as cast_fp8 writes
// them); w [groups, n, k] with 128x128 scales [groups, n/128, k/128 rounded up to 4]; y [rows, n].
// Rows of group g are offsets[g] .. offsets[g + 1], each a multiple of 128 (device memory,
// groups + 1 values); `rows` is the last of them, or more.
cudaError_t grouped_gemm_contiguous(const std::uint8_t* x, const float* x_scales,
                                    const std::uint8_t* w, const float* w_scales, __nv_bfloat16* y,
                                    const std::int32_t* offsets, std::int64_t rows,
                                    const GroupedGemmShape& shape, const GroupedTiling& tiling,
                                    cudaStream_t stream);

// Decode: group g's rows are the first counts[g] of its `capacity` (a multiple of 4) rows in x
// [groups, capacity, k], x_scales [k/128, groups * capacity], y [groups, capacity, n]. Other rows
// of y are left as they are.
cudaError_t grouped_gemm_masked(const std::uint8_t* x, const float* x_scales, const std::uint8_t* w,
                                const float* w_scales, __nv_bfloat16* y, const std::int32_t* counts,
                                std::int64_t capacity, const GroupedGemmShape& shape,
                                const GroupedTiling& tiling, cudaStream_t stream);

// Weight gradient: group g's share of K is offsets[g] .. offsets[g + 1], multiples of 128. a [m, k]
// with scales [k/128, m] and b [n, k] with scales [k/128, n] (as cast_transpose writes them), k the
// sum over groups; y [groups, m, n] in FP32, added to or written. m a multiple of 128.
cudaError_t grouped_gemm_k_grouped(const std::uint8_t* a, const float* a_scales,
                                   const std::uint8_t* b, const float* b_scales, float* y,
                                   const std::int32_t* offsets, std::int64_t m, bool accumulate,
                                   const GroupedGemmShape& shape, const GroupedTiling& tiling,
                                   cudaStream_t stream);

}  // namespace orrery::kernels
