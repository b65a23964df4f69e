#pragma once
// RMSNorm (operators rms_norm and rms_norm_backward).
//   y = x * r * w,  r = 1 / sqrt(mean(x^2) + 1e-6)
//   dx = r * (w*dy - x * r^2 * mean(w * dy * x)),  dw = sum over rows of dy * x * r

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// x, y: [rows, hidden]; w: [hidden]; rstd: [rows]. hidden is 256 a b with a <= 32, b <= 8.
// Bytes moved: 4 * rows * hidden.
void rms_norm(const __nv_bfloat16* x, const __nv_bfloat16* w, __nv_bfloat16* y, float* rstd,
              std::int64_t rows, std::int64_t hidden, cudaStream_t stream);

// Floats of workspace the backward needs.
std::int64_t rms_norm_backward_workspace(std::int64_t hidden);
// Two kernels: dx with one partial dw a block, then the sum of the partials into dw (FP32,
// [hidden]). Bytes moved: 6 * rows * hidden + partials.
void rms_norm_backward(const __nv_bfloat16* dy, const __nv_bfloat16* x, const __nv_bfloat16* w,
                       const float* rstd, __nv_bfloat16* dx, float* dw, float* workspace,
                       std::int64_t rows, std::int64_t hidden, cudaStream_t stream);

}  // namespace orrery::kernels
