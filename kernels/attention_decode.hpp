#pragma once
// Decode attention for Hopper: a few query tokens a request against a paged BF16 cache.
//
//   o[t, h] = sum_j p_j v_j,  p = softmax_j(scale q[t, h] . k_j),  j < length - (T - 1 - t)
//
// for query token t of T, the last T of a request's `length` keys. Blocks of 64 keys lie where the
// block table says. FP32 sums, probabilities rounded to BF16 for the second product.
//
//   MLA, absorbed  2 R T H L (576 + 512) FLOP; least bytes 2 (576 R L + (576 + 512) R T H)
//   GQA            4 R T H L D FLOP;           least bytes 2 (2 R L G D + 2 R T H D)
//
// (R requests of L keys, H query heads, G key heads, D head dim; with them block tables, lengths
// and log-sum-exp, which are small.) One kernel cuts all keys into even shares, one a CTA, whatever
// the lengths; a second adds up the requests that were cut.

#include <cstddef>
#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace orrery::kernels {

struct DecodeShape {
    int requests = 0;
    int query_tokens = 1;                // T, of one request
    int query_heads = 0, key_heads = 1;  // MLA: one key head
    std::int64_t cache_blocks = 0;       // blocks that the cache holds
    int table_stride = 0;                // entries of one request in the block table
    float scale = 1;                     // of the scores
    int sms = 0;                         // SMs to use at most; 0: all
};

// Device memory, all int32: block of keys 64 i .. 64 i + 63 of request r at blocks[r table_stride +
// i]; keys of request r, 0 allowed.
struct PagedKeys {
    const std::int32_t* blocks;
    const std::int32_t* lengths;
};

// Bytes of device memory that a call needs beside its operands; alignment 16.
std::size_t mla_decode_workspace(const DecodeShape& shape);
std::size_t gqa_decode_workspace(const DecodeShape& shape);

// q [requests, T, heads, 576], cache [cache_blocks, 64, 576] whose first 512 values of a row are
// the value too, out [requests, T, heads, 512]; log_sum_exp [requests, T, heads] or nullptr
// (natural logarithm; -inf where no key is seen, the output 0 there). Rows (T heads) are worked on
// 64 at a time. cudaErrorInvalidValue for other shapes.
cudaError_t mla_decode(const __nv_bfloat16* q, const __nv_bfloat16* cache, const PagedKeys& keys,
                       __nv_bfloat16* out, float* log_sum_exp, void* workspace,
                       const DecodeShape& shape, cudaStream_t stream);

// q, out [requests, T, heads, 128], caches [cache_blocks, key_heads, 64, 128]. Query heads a key
// head times T: at most 16.
cudaError_t gqa_decode(const __nv_bfloat16* q, const __nv_bfloat16* key_cache,
                       const __nv_bfloat16* value_cache, const PagedKeys& keys, __nv_bfloat16* out,
                       float* log_sum_exp, void* workspace, const DecodeShape& shape,
                       cudaStream_t stream);

}  // namespace orrery::kernels
