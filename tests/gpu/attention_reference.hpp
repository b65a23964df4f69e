#pragma once
// Attention and its gradients on the CPU, in double, straight from the formulas.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gpu_test.hpp"

namespace orrery::kernels {

inline std::vector<double> doubles(const std::vector<Bf16>& v) {
    std::vector<double> d;
    d.reserve(v.size());
    for (const Bf16 x : v) d.push_back(value(x));
    return d;
}

// [sequences, tokens, heads, dim] operands; query i sees keys 0 .. keys - queries + i if causal.
struct AttentionSize {
    std::int64_t sequences, query_heads, key_heads, queries, keys, dim, value_dim;
    bool causal;
    std::size_t q() const { return std::size_t(sequences * queries * query_heads * dim); }
    std::size_t k() const { return std::size_t(sequences * keys * key_heads * dim); }
    std::size_t v() const { return std::size_t(sequences * keys * key_heads * value_dim); }
    std::size_t o() const { return std::size_t(sequences * queries * query_heads * value_dim); }
    std::size_t rows() const { return std::size_t(sequences * query_heads * queries); }
};

struct AttentionResult {
    std::vector<double> o, stats, dq, dk, dv;  // stats [sequences, heads, queries]
};

// d_o may be empty: then only o and stats.
inline AttentionResult attention_reference(const AttentionSize& s, const std::vector<double>& q,
                                           const std::vector<double>& k,
                                           const std::vector<double>& v,
                                           const std::vector<double>& d_o) {
    AttentionResult r;
    r.o.assign(s.o(), 0);
    r.stats.assign(s.rows(), 0);
    const bool gradients = !d_o.empty();
    if (gradients) {
        r.dq.assign(s.q(), 0);
        r.dk.assign(s.k(), 0);
        r.dv.assign(s.v(), 0);
    }
    const double scale = 1 / std::sqrt(double(s.dim));
    const auto at = [](std::int64_t token, std::int64_t heads, std::int64_t head,
                       std::int64_t dim) { return std::size_t((token * heads + head) * dim); };
    for (std::int64_t b = 0; b < s.sequences; ++b)
        for (std::int64_t h = 0; h < s.query_heads; ++h)
            for (std::int64_t i = 0; i < s.queries; ++i) {
                const std::int64_t kh = h * s.key_heads / s.query_heads;
                const std::int64_t seen = s.causal ? s.keys - s.queries + i + 1 : s.keys;
                const std::size_t qi = at(b * s.queries + i, s.query_heads, h, s.dim);
                const std::size_t oi = at(b * s.queries + i, s.query_heads, h, s.value_dim);
                std::vector<double> p(std::size_t(seen), 0.0);
                double most = -INFINITY, sum = 0;
                for (std::int64_t j = 0; j < seen; ++j) {
                    const std::size_t kj = at(b * s.keys + j, s.key_heads, kh, s.dim);
                    double dot = 0;
                    for (std::size_t d = 0; d < std::size_t(s.dim); ++d)
                        dot += q[qi + d] * k[kj + d];
                    p[std::size_t(j)] = dot * scale;
                    most = std::max(most, dot * scale);
                }
                for (double& x : p) sum += x = std::exp(x - most);
                for (double& x : p) x /= sum;
                r.stats[std::size_t((b * s.query_heads + h) * s.queries + i)] =
                    most + std::log(sum);
                for (std::int64_t j = 0; j < seen; ++j) {
                    const std::size_t vj = at(b * s.keys + j, s.key_heads, kh, s.value_dim);
                    for (std::size_t d = 0; d < std::size_t(s.value_dim); ++d)
                        r.o[oi + d] += p[std::size_t(j)] * v[vj + d];
                }
                if (!gradients) continue;
                double both = 0;  // sum(do o)
                for (std::size_t d = 0; d < std::size_t(s.value_dim); ++d)
                    both += d_o[oi + d] * r.o[oi + d];
                for (std::int64_t j = 0; j < seen; ++j) {
                    const std::size_t kj = at(b * s.keys + j, s.key_heads, kh, s.dim);
                    const std::size_t vj = at(b * s.keys + j, s.key_heads, kh, s.value_dim);
                    double dp = 0;
                    for (std::size_t d = 0; d < std::size_t(s.value_dim); ++d) {
                        dp += d_o[oi + d] * v[vj + d];
                        r.dv[vj + d] += p[std::size_t(j)] * d_o[oi + d];
                    }
                    const double ds = p[std::size_t(j)] * (dp - both) * scale;
                    for (std::size_t d = 0; d < std::size_t(s.dim); ++d) {
                        r.dq[qi + d] += ds * k[kj + d];
                        r.dk[kj + d] += ds * q[qi + d];
                    }
                }
            }
    return r;
}

}  // namespace orrery::kernels
