#pragma once
// Backward attention for Hopper in BF16, with the names of attention_forward.hpp:
//
//   p = exp(scale q k^T - stats),  dv = p^T do,  ds = p (do v^T - sum(do o))
//   dq = scale ds k,  dk = scale ds^T q
//
// Two kernels after one for sum(do o): the first holds 128 keys and runs over queries (dk, dv), the
// second holds 128 queries and runs over keys (dq). Scores and do v^T are multiplied in both; in
// return nothing is added in device memory and results do not depend on the order of the CTAs.
//
// 2 sequences query_heads P (3 query_key_dim + 2 value_dim) FLOP count, P the pairs as in the
// forward pass; 2 sequences query_heads P (4 query_key_dim + 3 value_dim) are done. Least bytes: q,
// k, v, o, do, dq, dk, dv once in BF16, stats in FP32.

#include "kernels/attention_forward.hpp"

namespace orrery::kernels {

// Bytes of device memory a call needs beside its arguments, aligned to 16 bytes.
std::int64_t attention_backward_workspace(const AttentionForwardShape& shape);

// Layouts and refusals as attention_forward; o and stats are its results. shape.sms is not used.
cudaError_t attention_backward(const __nv_bfloat16* q, const __nv_bfloat16* k,
                               const __nv_bfloat16* v, const __nv_bfloat16* o,
                               const __nv_bfloat16* d_o, const float* stats, __nv_bfloat16* dq,
                               __nv_bfloat16* dk, __nv_bfloat16* dv,
                               const AttentionForwardShape& shape, void* workspace,
                               cudaStream_t stream);

}  // namespace orrery::kernels
