#pragma once
// Training and prefill attention through cuDNN.
//
//   s = scale q k^T,  p = softmax(s) over the keys a query may see,  o = p v
//   stats = log sum exp s
//   dv = p^T do,  dp = do v^T,  ds = p (dp - sum(do o)),  dq = scale ds k,  dk = scale ds^T q
//
// Causal: query i sees keys 0 .. key_length - query_length + i. Query head h uses key head
// h key_heads / query_heads.
//
// FLOP, S = query_length key_length, halved where causal and the lengths are equal: forward
// 2 sequences query_heads S (query_key_dim + value_dim), backward 2 sequences query_heads S
// (3 query_key_dim + 2 value_dim). Least bytes: every argument once.

#include <cstdint>
#include <memory>
#include <string>

#include <cuda_runtime_api.h>

namespace orrery::calibrate {

struct AttentionShape {
    std::int64_t sequences = 1, query_heads = 1, key_heads = 1;
    std::int64_t query_length = 0, key_length = 0;      // tokens of a sequence
    std::int64_t query_key_dim = 128, value_dim = 128;  // of a head
    bool causal = true;
    double scale = 0;  // 0: 1 / sqrt(query_key_dim)
    bool operator==(const AttentionShape&) const = default;
};

// "cuDNN 91900"; empty where the library, or this program's part that uses it, is missing.
std::string cudnn_version();

// Everything BF16 [sequences, tokens, heads, dim] but stats, FP32 [sequences, query_heads,
// query_length]. Device pointers, aligned to 16 bytes. Built by any thread (0.3 s: kernels are
// compiled), run by one at a time, on the device that was current when cuDNN was first used.
// Throws InputError where cuDNN is missing or refuses.
class CudnnAttention {
  public:
    explicit CudnnAttention(const AttentionShape& shape, bool with_backward = false);
    ~CudnnAttention();
    CudnnAttention(CudnnAttention&&) noexcept;
    CudnnAttention& operator=(CudnnAttention&&) noexcept;

    // Enough for either pass.
    std::int64_t workspace_bytes() const;
    void forward(cudaStream_t stream, const void* q, const void* k, const void* v, void* o,
                 void* stats, void* workspace) const;
    // Only if built with_backward.
    void backward(cudaStream_t stream, const void* q, const void* k, const void* v, const void* o,
                  const void* d_o, const void* stats, void* dq, void* dk, void* dv,
                  void* workspace) const;

  private:
    struct Plans;
    std::unique_ptr<Plans> plans_;
};

}  // namespace orrery::calibrate
