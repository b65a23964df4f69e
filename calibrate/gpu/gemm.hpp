#pragma once
// GEMMs through cuBLASLt: Y[m,n] (+)= X[m,k] W[n,k]^T.
//   bf16        BF16 operands
//   fp8_tensor  E4M3, one scale a tensor
//   fp8_block   E4M3; X 1x128 and W 128x128 scales; with FP32 output (weight gradient) both 1x128
// `accumulate` adds into an FP32 Y.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <cublasLt.h>

#include "calibrate/gpu/device.hpp"
#include "calibrate/gpu/measure.hpp"
#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

// CTAs a cluster may hold to fit between communication CTAs: calibrate/README.md.
inline constexpr int kMostClusterCtas = 2;

struct GemmAlgorithm {
    cublasLtMatmulAlgo_t algorithm;
    int cluster_shape = 0;  // cublasLtClusterShape_t
    int tile = 0;           // cublasLtMatmulTile_t
    float waves = 0;        // cuBLASLt's estimate
};

// Device pointers; scales only where the precision has them.
struct GemmOperands {
    const void *x = nullptr, *w = nullptr;
    const void *x_scales = nullptr, *w_scales = nullptr;
    void* y = nullptr;
};
// Bytes of each of a case's operands.
struct GemmBytes {
    std::int64_t x = 0, w = 0, x_scales = 0, w_scales = 0, y = 0;
};

class GemmRunner {
  public:
    explicit GemmRunner(const Device& device);
    ~GemmRunner();
    GemmRunner(const GemmRunner&) = delete;

    GemmBytes bytes(const GemmCase& c) const;
    // Up to `most` algorithms, the one cuBLASLt holds best first; empty where it has none.
    std::vector<GemmAlgorithm> algorithms(const GemmCase& c, int most) const;
    // `algorithm` with another cluster shape, where cuBLASLt accepts that for `c`.
    std::optional<GemmAlgorithm> with_cluster(const GemmCase& c, const GemmAlgorithm& algorithm,
                                              int cluster_shape) const;
    // Algorithms for `c` whose clusters fit between communication CTAs; not each of them runs, or
    // keeps to c.sms.
    std::vector<GemmAlgorithm> small_cluster_candidates(const GemmCase& c) const;
    // Runs `c` with `algorithm` on operands of the caller's.
    std::function<void(const GemmOperands&, cudaStream_t)> launcher(
        const GemmCase& c, const GemmAlgorithm& algorithm) const;
    // A subject running `c` with `algorithm`; its operands lie in the device's arena.
    Subject subject(const GemmCase& c, const GemmAlgorithm& algorithm) const;

  private:
    struct Problem;
    std::shared_ptr<Problem> problem(const GemmCase& c) const;
    const Device& device_;
    cublasLtHandle_t handle_ = nullptr;
    Buffer workspace_;
};

// CTAs in a cluster of cublasLtClusterShape_t `shape`; 1 for "auto", 99 for one not listed.
int cluster_ctas(int shape);
// "fp8_block 4096x7168x2048 on 112 SMs"
std::string describe(const GemmCase& c);

}  // namespace orrery::calibrate
