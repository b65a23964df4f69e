#pragma once
// Flat and rotary kernels (operators add, copy, zero, rope, norm_reduce, adamw).

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// y = a + b over n values, n a multiple of 8. Moves 6 n bytes.
void add(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* y, std::int64_t n,
         cudaStream_t stream);
// n bytes, a multiple of 16. copy moves 2 n, zero n.
void copy_bytes(const void* from, void* to, std::int64_t n, cudaStream_t stream);
void zero_bytes(void* to, std::int64_t n, cudaStream_t stream);

// Rotates pairs (2i, 2i+1) of the last `width` values of each head, in place.
// x: [tokens, heads, stride], cosine and sine: [tokens, width/2]. width = 64.
// Moves 4 * tokens * heads * width bytes and the tables once.
void rope(__nv_bfloat16* x, const float* cosine, const float* sine, std::int64_t tokens,
          std::int64_t heads, std::int64_t stride, cudaStream_t stream);

// *result += sum of x^2 over n floats, n a multiple of 4. Moves 4 n bytes.
void add_squares(const float* x, float* result, std::int64_t n, cudaStream_t stream);

// One AdamW step as DeepSeek-V3 stores it: FP32 master weight and gradient, BF16 moments, BF16
// weight for the next forward pass. n a multiple of 4; step counts from 1. Moves 22 n bytes:
// reads 4 + 4 + 2 + 2, writes 4 + 2 + 2 + 2 a parameter.
struct AdamW {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    int step;
};
void adamw(float* master, const float* gradient, __nv_bfloat16* first, __nv_bfloat16* second,
           __nv_bfloat16* weight, std::int64_t n, const AdamW& settings, cudaStream_t stream);

}  // namespace orrery::kernels
