#include "model/lowering_builder.hpp"

#include <algorithm>
#include <utility>

namespace orrery {

namespace {

double product(std::int64_t a, std::int64_t b) {
    return static_cast<double>(a) * static_cast<double>(b);
}
std::int64_t tiles(std::int64_t elements) { return ceil_div(elements, 128); }

// Blocks that each sum one row of an RMSNorm's weight gradient before a second kernel adds them up:
// one a multiprocessor of an H100.
constexpr std::int64_t norm_partial_rows = 132;

}  // namespace

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

PhaseBuilder::PhaseBuilder(const ParallelPlan& plan, const ModelSpec& model,
                           const BatchShape& batch)
    : plan_(plan),
      tokens_(ceil_div(batch.sequences * batch.sequence_length, plan.cp)),
      own_tokens_(ceil_div(tokens_, plan.tp)),
      hidden_(model.hidden) {}

// ---- phases

void PhaseBuilder::begin(PhaseKind kind) {
    if (phases_.empty() || phases_.back().kind != kind) phases_.push_back({kind, {}});
}

void PhaseBuilder::tensor_collective(const char* name, CommunicationKind kind, Group group,
                                     std::int64_t ranks, Bytes bytes) {
    const bool inside = !phases_.empty() && !phases_.back().communicates();
    const PhaseKind resumed = inside ? phases_.back().kind : PhaseKind::attention;
    Phase phase{PhaseKind::tensor_collective, {}};
    phase.operators.push_back(
        {name, Communication{.kind = kind, .group = group, .ranks = ranks, .bytes = bytes}});
    phases_.push_back(std::move(phase));
    if (inside) phases_.push_back({resumed, {}});
}

void PhaseBuilder::gather_tokens(const char* name, std::int64_t columns) {
    if (plan_.tp == 1) return;
    tensor_collective(name, CommunicationKind::all_gather, Group::tensor, plan_.tp,
                      Bytes(2 * product(tokens_, columns)));
}

void PhaseBuilder::scatter_tokens(const char* name, std::int64_t columns) {
    if (plan_.tp == 1) return;
    tensor_collective(name, CommunicationKind::reduce_scatter, Group::tensor, plan_.tp,
                      Bytes(2 * product(tokens_, columns)));
}

void PhaseBuilder::add(const char* name, decltype(Operator::shape) shape) {
    phases_.back().operators.push_back({name, std::move(shape)});
}

std::vector<Phase> PhaseBuilder::take() {
    std::erase_if(phases_, [](const Phase& p) { return p.operators.empty(); });
    return std::move(phases_);
}

double PhaseBuilder::fp8_bytes(std::int64_t rows, std::int64_t columns) const {
    return product(rows, columns) + (block_scales() ? 4 * product(rows, tiles(columns)) : 0);
}

// ---- GEMMs

void PhaseBuilder::gemm(const char* name, std::int64_t m, std::int64_t n, std::int64_t k) {
    add(name, Gemm{.m = m, .n = n, .k = k, .precision = plan_.precision});
}

void PhaseBuilder::gemm_bf16(const char* name, std::int64_t m, std::int64_t n, std::int64_t k) {
    add(name, Gemm{.m = m, .n = n, .k = k, .precision = Precision::bf16});
}

void PhaseBuilder::wgrad(const char* name, std::int64_t out, std::int64_t in, std::int64_t rows) {
    add(name, Gemm{.m = out, .n = in, .k = rows, .precision = plan_.precision, .accumulate = true});
}

void PhaseBuilder::wgrad_bf16(const char* name, std::int64_t out, std::int64_t in,
                              std::int64_t rows) {
    add(name, Gemm{.m = out, .n = in, .k = rows, .precision = Precision::bf16, .accumulate = true});
}

// ---- memory-bound kernels

void PhaseBuilder::memory(const char* name, MemoryOpKind kind, std::int64_t rows,
                          std::int64_t columns, double read, double written,
                          std::int64_t launches) {
    add(name, MemoryOp{.kind = kind,
                       .rows = rows,
                       .columns = columns,
                       .read = Bytes(read),
                       .written = Bytes(written),
                       .launches = launches});
}

void PhaseBuilder::elementwise(const char* name, MemoryOpKind kind, std::int64_t rows,
                               std::int64_t columns, double reads, double writes) {
    const double tensor = 2 * product(rows, columns);
    memory(name, kind, rows, columns, reads * tensor, writes * tensor);
}

void PhaseBuilder::cast(const char* name, std::int64_t rows, std::int64_t columns) {
    if (!fp8()) return;
    memory(name, MemoryOpKind::cast_fp8, rows, columns, 2 * product(rows, columns),
           fp8_bytes(rows, columns));
}

void PhaseBuilder::scales(const char* name, std::int64_t rows, std::int64_t columns) {
    if (!block_scales()) return;
    const double bytes = 4 * product(rows, tiles(columns));
    memory(name, MemoryOpKind::transpose, rows, tiles(columns), bytes, bytes);
}

void PhaseBuilder::weight_transpose(const char* name, std::int64_t out, std::int64_t in,
                                    std::int64_t count) {
    if (!fp8()) return;
    const double bytes = static_cast<double>(count) * product(out, in);
    memory(name, MemoryOpKind::transpose, count * out, in, bytes, bytes);
}

void PhaseBuilder::cast_transpose(const char* name, std::int64_t rows, std::int64_t columns,
                                  Input input) {
    if (!fp8()) return;
    const double read = input == Input::fp8 ? fp8_bytes(rows, columns) : 2 * product(rows, columns);
    memory(name, MemoryOpKind::cast_transpose, rows, columns, read, fp8_bytes(columns, rows));
}

void PhaseBuilder::cast_back(const char* name, std::int64_t rows, std::int64_t columns) {
    if (!fp8()) return;
    memory(name, MemoryOpKind::cast_back, rows, columns, fp8_bytes(rows, columns),
           2 * product(rows, columns));
}

void PhaseBuilder::rms_norm(const char* name, std::int64_t rows, std::int64_t columns, int reads) {
    elementwise(name, MemoryOpKind::rms_norm, rows, columns, reads, reads > 1 ? 2 : 1);
}

void PhaseBuilder::rms_norm_backward(const NormNames& names, std::int64_t rows,
                                     std::int64_t columns, int reads) {
    elementwise(names.backward, MemoryOpKind::rms_norm_backward, rows, columns, reads, 1);
    // Partial sums of the weight gradient, then their sum into the main gradient.
    const std::int64_t partial = std::min(rows, norm_partial_rows);
    const double weights = 4.0 * static_cast<double>(columns);
    memory(names.finalize, MemoryOpKind::rms_norm_backward, partial, columns,
           static_cast<double>(partial) * weights, weights);
    memory(names.accumulate, MemoryOpKind::add, 1, columns, 2 * weights, weights);
}

}  // namespace orrery
