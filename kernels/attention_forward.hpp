#pragma once
// Forward attention for Hopper in BF16, for training and prefill.
//
//   s = scale q k^T,  o = softmax(s) v,  stats = log sum exp s
//
// Causal: query i sees keys 0 .. key_length - query_length + i. Query head h uses key head
// h key_heads / query_heads.
//
// 2 sequences query_heads P (query_key_dim + value_dim) FLOP, P = query_length key_length pairs,
// less query_length^2 / 2 where causal. Least bytes: q, k, v, o once in BF16, stats in FP32.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

struct AttentionForwardShape {
    std::int64_t sequences = 1, query_heads = 1, key_heads = 1;
    std::int64_t query_length = 0, key_length = 0;      // tokens of a sequence
    std::int64_t query_key_dim = 128, value_dim = 128;  // of a head: 192 or 128; 128
    bool causal = true;
    float scale = 0;  // 0: 1 / sqrt(query_key_dim)
    int sms = 0;      // CTAs at most, one per SM; 0: all
};

// Bytes of device memory a call needs beside its arguments.
constexpr std::int64_t kAttentionForwardWorkspace = 4;

// q, o [sequences, query_length, query_heads, dim], k, v [sequences, key_length, key_heads, dim],
// stats [sequences, query_heads, query_length]; all aligned to 16 bytes. Returns
// cudaErrorInvalidValue for head dims it does not know, query heads that are no multiple of the
// key heads, and causal calls with more queries than keys.
cudaError_t attention_forward(const __nv_bfloat16* q, const __nv_bfloat16* k,
                              const __nv_bfloat16* v, __nv_bfloat16* o, float* stats,
                              const AttentionForwardShape& shape, void* workspace,
                              cudaStream_t stream);

}  // namespace orrery::kernels
