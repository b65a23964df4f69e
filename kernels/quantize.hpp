#pragma once
// Casts between BF16 and FP8 E4M3 with DeepSeek-V3's 1x128 scales (operators cast_fp8,
// cast_transpose, transpose, cast_back). A scale is amax / 448 of its 128 values: x ~ q * scale.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// Per token: x [rows, columns] -> q [rows, columns], scales [columns/128, rows] (the layout
// cuBLASLt reads). rows a multiple of 8, columns of 512 or, failing that, of 128. Bytes moved:
// rows * columns * (2 + 1 + 4/128).
void cast_fp8(const __nv_bfloat16* x, std::uint8_t* q, float* scales, std::int64_t rows,
              std::int64_t columns, cudaStream_t stream);

// Per channel, transposed: x [rows, columns] -> q [columns, rows], a scale for every 128 rows of a
// column, scales [rows/128, columns]. rows a multiple of 128, columns of 64. Bytes as above.
void cast_transpose(const __nv_bfloat16* x, std::uint8_t* q, float* scales, std::int64_t rows,
                    std::int64_t columns, cudaStream_t stream);

// Bytes: x [rows, columns] -> y [columns, rows]; both multiples of 128. Moves 2 * rows * columns.
void transpose_bytes(const std::uint8_t* x, std::uint8_t* y, std::int64_t rows,
                     std::int64_t columns, cudaStream_t stream);

// q [rows, columns] with scales [columns/128, rows] -> x [rows, columns].
void cast_back(const std::uint8_t* q, const float* scales, __nv_bfloat16* x, std::int64_t rows,
               std::int64_t columns, cudaStream_t stream);

}  // namespace orrery::kernels
