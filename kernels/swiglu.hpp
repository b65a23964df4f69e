#pragma once
// SwiGLU (operators swiglu and swiglu_backward): h = silu(gate) * up, silu(g) = g / (1 + exp(-g)).

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// gate_up: [rows, 2 * columns], gate first. Writes h as E4M3 [rows, columns] with 1x128 scales
// [columns/128, rows]. rows a multiple of 8, columns of 128. Moves rows * columns * (4 + 1 +
// 4/128).
void swiglu(const __nv_bfloat16* gate_up, std::uint8_t* q, float* scales, std::int64_t rows,
            std::int64_t columns, cudaStream_t stream);

// dh: [rows, columns]; d_gate_up like gate_up. Moves 10 * rows * columns bytes. columns: multiple
// of 8.
void swiglu_backward(const __nv_bfloat16* dh, const __nv_bfloat16* gate_up,
                     __nv_bfloat16* d_gate_up, std::int64_t rows, std::int64_t columns,
                     cudaStream_t stream);

}  // namespace orrery::kernels
