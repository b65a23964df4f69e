#pragma once
// Collects operators into phases and knows, once, what each kind of memory-bound kernel reads and
// writes at the plan's precision. With R rows, C columns and r(C) = ceil(C / 128):
//   BF16 tensor          2 R C
//   FP8 tensor           R C, and 4 R r(C) of FP32 scales with fp8_block
//   E5M6 tensor          1.5 R C + 4 R r(C)   (attention outputs kept for the backward pass;
//                        DeepSeek-V3 report, section 3.3.3; 12 bits packed)
// Casts, scale transposes and weight transposes exist only where linear layers run in FP8; in BF16
// the calls add nothing.

#include <cstdint>
#include <vector>

#include "model/lowering.hpp"
#include "model/lowering_names.hpp"

namespace orrery {

class PhaseBuilder {
  public:
    PhaseBuilder(const ParallelPlan& plan, const ModelSpec& model, const BatchShape& batch);

    // ---- phases
    // The next operators belong to a phase of this kind (the same as before: nothing happens).
    void begin(PhaseKind kind);
    // A phase of its own for one collective; the compute phase before it continues after it.
    void tensor_collective(const char* name, CommunicationKind kind, Group group,
                           std::int64_t ranks, Bytes bytes);
    // all_gather / reduce_scatter of a BF16 [tokens, columns] over the tensor group; none at tp
    // = 1.
    void gather_tokens(const char* name, std::int64_t columns);
    void scatter_tokens(const char* name, std::int64_t columns);
    void add(const char* name, decltype(Operator::shape) shape);
    std::vector<Phase> take();  // without empty phases

    // ---- sizes
    bool fp8() const { return runs_in_fp8(plan_.precision); }
    bool block_scales() const { return plan_.precision == Precision::fp8_block; }
    const ParallelPlan& plan() const { return plan_; }
    // Rows of one micro-batch on this rank: sequences x length / cp, and what is left of them where
    // sequence parallelism splits tokens over the tensor group.
    std::int64_t tokens() const { return tokens_; }
    std::int64_t own_tokens() const { return own_tokens_; }
    std::int64_t hidden() const { return hidden_; }
    double fp8_bytes(std::int64_t rows, std::int64_t columns) const;

    // ---- GEMMs
    void gemm(const char* name, std::int64_t m, std::int64_t n, std::int64_t k);
    void gemm_bf16(const char* name, std::int64_t m, std::int64_t n, std::int64_t k);
    void wgrad(const char* name, std::int64_t out, std::int64_t in, std::int64_t rows);
    void wgrad_bf16(const char* name, std::int64_t out, std::int64_t in, std::int64_t rows);

    // ---- memory-bound kernels
    void memory(const char* name, MemoryOpKind kind, std::int64_t rows, std::int64_t columns,
                double read, double written, std::int64_t launches = 1);
    // BF16 in, BF16 out, `reads` and `writes` tensors of rows x columns.
    void elementwise(const char* name, MemoryOpKind kind, std::int64_t rows, std::int64_t columns,
                     double reads, double writes);
    void cast(const char* name, std::int64_t rows, std::int64_t columns);
    void scales(const char* name, std::int64_t rows, std::int64_t columns);
    void weight_transpose(const char* name, std::int64_t out, std::int64_t in,
                          std::int64_t count = 1);
    enum class Input : std::uint8_t { bf16, fp8 };
    // [rows, columns] to FP8 [columns, rows] with scales along rows, for a weight gradient.
    void cast_transpose(const char* name, std::int64_t rows, std::int64_t columns,
                        Input input = Input::bf16);
    void cast_back(const char* name, std::int64_t rows, std::int64_t columns);
    // Sums `reads` tensors (block outputs and the residual stream), writes the sum if it has more
    // than one part, and the normalised result.
    void rms_norm(const char* name, std::int64_t rows, std::int64_t columns, int reads = 1);
    // Gradient of input and weight; `reads` counts dY, X and the residual gradient if it is added.
    void rms_norm_backward(const NormNames& names, std::int64_t rows, std::int64_t columns,
                           int reads = 2);

  private:
    const ParallelPlan& plan_;
    std::int64_t tokens_, own_tokens_, hidden_;
    std::vector<Phase> phases_;
};

std::int64_t ceil_div(std::int64_t a, std::int64_t b);

}  // namespace orrery
