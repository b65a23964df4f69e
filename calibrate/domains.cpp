#include "calibrate/domains.hpp"

#include <algorithm>

namespace orrery::calibrate {
namespace {

constexpr double kLargestFlops = 6e12;
constexpr double kLargestAttentionFlops = 3e12;
constexpr double kLargestWeights = double(1ll << 29);
constexpr double kLargestBytes = 4e9;
constexpr double kLargestCache = 16e9;

// Log-uniform over [low, high], rounded to a multiple of `step`.
std::int64_t draw(double uniform, double low, double high, std::int64_t step) {
    const double value = low * std::pow(high / low, uniform);
    return std::max<std::int64_t>(step, std::int64_t(std::llround(value / double(step))) * step);
}

// kernels/norm.cu: a row of 256 warps vectors values, at most 32 warps and 8 vectors.
bool norm_has(std::int64_t columns) {
    for (std::int64_t vectors = 1; vectors <= 8; ++vectors)
        if (columns % (256 * vectors) == 0 && columns / (256 * vectors) <= 32) return true;
    return false;
}

}  // namespace

std::optional<GemmCase> gemm_at(Precision precision, std::int64_t sms, const Cube<3>& u) {
    const Gemm g{draw(u[0], 16, 16384, 16), draw(u[1], 512, 131072, 128),
                 draw(u[2], 256, 32768, 128), precision, false};
    const double m = double(g.m), n = double(g.n), k = double(g.k);
    if (2 * m * n * k > kLargestFlops || n * k > kLargestWeights || m * n > 3e9)
        return std::nullopt;
    return GemmCase{g, sms, false};
}

std::optional<GroupedCase> grouped_at(GroupLayout layout, std::int64_t sms, const Cube<4>& u) {
    const bool masked = layout == GroupLayout::masked, summed = layout == GroupLayout::k_grouped;
    GroupedCase c{layout,
                  draw(u[0], 1, summed ? 16 : 64, 1),
                  0,
                  draw(u[2], 512, 8192, 128),
                  draw(u[3], 512, 8192, 128),
                  sms};
    c.rows_per_group = masked   ? draw(u[1], 1, 1024, 1)
                       : summed ? draw(u[1], 128, 16384, 128)
                                : draw(u[1], 128, 8192, 128);
    const double rows = double(c.groups * c.rows_per_group), n = double(c.n), k = double(c.k);
    const double weights = double(c.groups) * n * k;
    const double operands = summed ? rows * (n + k) + 4 * weights : rows * (k + 2 * n) + weights;
    if (2 * rows * n * k > kLargestFlops || operands > kLargestBytes) return std::nullopt;
    return c;
}

std::optional<Attention> attention_at(AttentionPass pass, std::uint64_t turn, const Cube<3>& u) {
    Attention a;
    a.pass = AttentionPass::forward;
    a.sequences = draw(u[0], 1, 8, 1);
    a.query_length = a.key_length = draw(u[1], 256, 16384, 64);
    a.query_heads = a.key_heads = draw(u[2], 8, 128, 8);
    a.query_key_dim = turn % 2 == 0 ? 192 : 128;
    a.value_dim = 128;
    const Operator op{"", a};
    if (flops(op).value() > kLargestAttentionFlops || bytes(op).value() > kLargestBytes)
        return std::nullopt;
    a.pass = pass;
    return a;
}

std::optional<Attention> decode_at(std::uint64_t turn, const Cube<3>& u) {
    Attention a;
    a.pass = AttentionPass::decode;
    a.sequences = draw(u[0], 1, 256, 1);
    a.query_length = 1;
    a.key_length = draw(u[1], 128, 131072, 64);
    const bool latent = turn % 2 == 0;
    a.query_heads = latent ? draw(u[2], 16, 128, 16) : draw(u[2], 8, 128, 8);
    a.key_heads = latent ? 1 : a.query_heads / 8;
    a.query_key_dim = latent ? 576 : 128;
    a.value_dim = latent ? 512 : 128;
    const double features = latent ? 576 : 256 * double(a.key_heads);
    if (2 * features * double(a.sequences) * double(a.key_length) > kLargestCache)
        return std::nullopt;
    return a;
}

std::optional<MemoryCase> copy_at(const Cube<1>& u) {
    return MemoryCase{MemoryOpKind::copy, draw(u[0], double(1 << 15), double(1 << 29), 1024), 1};
}

const std::vector<MemoryDomain>& memory_domains() {
    using K = MemoryOpKind;
    static const std::vector<MemoryDomain> domains = {
        {K::rms_norm, 16, 65536, 16, 512, 16384, 256},
        {K::rms_norm_backward, 16, 65536, 16, 512, 16384, 256},
        {K::cast_fp8, 16, 65536, 16, 512, 32768, 128},
        {K::cast_transpose, 128, 65536, 128, 512, 32768, 128},
        {K::transpose, 128, 65536, 128, 512, 32768, 128},
        {K::cast_back, 16, 65536, 16, 512, 32768, 128},
        {K::swiglu, 16, 65536, 16, 512, 18432, 128},
        {K::swiglu_backward, 16, 65536, 16, 512, 18432, 128},
        {K::rope, 128 * 128, 65536 * 128, 128 * 16, 64, 64, 64},
        {K::add, 16, 65536, 16, 512, 16384, 128},
        {K::copy, 16, 65536, 16, 512, 32768, 128},
        {K::zero, 16, 65536, 16, 512, 32768, 128},
        {K::router, 16, 65536, 16, 256, 256, 256},
        {K::permute, 16, 65536, 16, 512, 8192, 128},
        {K::unpermute, 16, 65536, 16, 512, 8192, 128},
        {K::embedding, 16, 65536, 16, 512, 8192, 128},
        {K::cross_entropy, 16, 65536, 16, 32000, 131072, 128},
        {K::adamw, 1 << 16, 1 << 28, 1024, 1, 1, 1},
        {K::norm_reduce, 1 << 16, 1 << 28, 1024, 1, 1, 1}};
    return domains;
}

std::optional<MemoryCase> memory_at(const MemoryDomain& d, const Cube<2>& u) {
    const MemoryCase c{
        d.kind, draw(u[0], double(d.rows_low), double(d.rows_high), d.rows_step),
        d.columns_low == d.columns_high
            ? d.columns_low
            : draw(u[1], double(d.columns_low), double(d.columns_high), d.columns_step)};
    const bool norm = c.kind == MemoryOpKind::rms_norm || c.kind == MemoryOpKind::rms_norm_backward;
    if (memory_bytes(c) > kLargestBytes || (norm && !norm_has(c.columns))) return std::nullopt;
    return c;
}

}  // namespace orrery::calibrate
