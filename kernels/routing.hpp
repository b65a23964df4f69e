#pragma once
// Mixture-of-experts bookkeeping (operators router, permute, unpermute, embedding).

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

// DeepSeek-V3's router over 256 experts in 8 groups of 32: s = sigmoid(logit); a group scores the
// sum of its two largest s + bias; the 4 best groups stay; the 8 largest s + bias of those are
// chosen; weights are the chosen s over their sum. Ties go to the lower expert or group.
// logits: [tokens, 256]; bias: [256]; experts, weights: [tokens, 8], largest s + bias first.
void route(const float* logits, const float* bias, std::int32_t* experts, float* weights,
           std::int64_t tokens, cudaStream_t stream);

// to[r] = from[index[r]] for rows of `row_bytes` (a multiple of 16); index[r] < 0 writes zeros.
// Moves rows * (2 * row_bytes + 4). permute expands tokens to expert rows; embedding gathers.
void gather_rows(const void* from, const std::int32_t* index, void* to, std::int64_t rows,
                 std::int64_t row_bytes, cudaStream_t stream);

// y[t] = sum over k < fan of weight[t, k] * x[index[t, k]]; index < 0 is skipped. FP32 sums.
// x: [rows, hidden], y: [tokens, hidden], hidden a multiple of 8.
void reduce_rows(const __nv_bfloat16* x, const std::int32_t* index, const float* weight,
                 __nv_bfloat16* y, std::int64_t tokens, std::int64_t fan, std::int64_t hidden,
                 cudaStream_t stream);

// loss[r] = log(sum exp(logit[r])) - logit[r, target[r]]; logits become (softmax - onehot) * scale.
// logits: [rows, vocabulary], vocabulary a multiple of 8. Moves at least 4 * rows * vocabulary.
void cross_entropy(__nv_bfloat16* logits, const std::int32_t* target, float* loss, float scale,
                   std::int64_t rows, std::int64_t vocabulary, cudaStream_t stream);

}  // namespace orrery::kernels
