#include "hardware/operator.hpp"

#include <algorithm>

// Bytes a kernel must move, by operand. With r(x) = ceil(x / 128):
//   activations and weights   BF16 2 B; weights alone 1 B (INT8) or 0.5 B (INT4) and BF16 scales,
//                             one of n rows or of n r(k) groups; E4M3 1 B and FP32 scales: one a
//                             tensor (fp8_tensor), or m r(k) for 1x128 activations and r(n) r(k)
//                             for 128x128 weights
//   results                   BF16 2 B, or FP32 read and written (8 B) where accumulated; the
//                             scales of a weight gradient are 1x128 on both sides
//   attention                 BF16 operands, FP32 row statistics; the backward pass adds dQ up in
//                             FP32 (its conversion to BF16 is an operator of its own)

namespace orrery {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

double product(std::int64_t a, std::int64_t b) {
    return static_cast<double>(a) * static_cast<double>(b);
}

std::int64_t tiles(std::int64_t elements) { return (elements + 127) / 128; }

// Query-key pairs of one sequence and head. Queries are the last of the keys; causal counts half
// of the diagonal's square (S^2 / 2 at equal lengths); a window of w cuts each row to w keys.
double attention_pairs(const Attention& a) {
    const double all = product(a.query_length, a.key_length);
    const bool decode = a.pass == AttentionPass::decode;
    if (!a.causal || decode) {
        return a.window > 0 ? product(a.query_length, std::min(a.key_length, a.window)) : all;
    }
    const double causal = all - product(a.query_length, a.query_length) / 2;
    if (a.window <= 0 || a.window >= a.key_length) return causal;
    const double first = static_cast<double>(a.key_length - a.query_length);  // keys before query 0
    const double window = static_cast<double>(a.window);
    const double short_rows = std::max(0.0, window - first);  // rows that see fewer than w keys
    const double cut = static_cast<double>(a.query_length) - short_rows;
    return short_rows * first + short_rows * short_rows / 2 + cut * window;
}

double scale_bytes(Precision precision, std::int64_t m, std::int64_t n, std::int64_t k,
                   std::int64_t weights, bool accumulate) {
    const double matrices = static_cast<double>(weights);
    if (precision == Precision::int8_weight) return 2 * matrices * static_cast<double>(n);
    if (precision == Precision::int4_weight) return 2 * matrices * product(n, tiles(k));
    if (precision == Precision::bf16) return 0;
    if (precision == Precision::fp8_tensor) return 4.0 * static_cast<double>(1 + weights);
    const double weight_scales = accumulate
                                     ? product(n, tiles(k))
                                     : static_cast<double>(weights) * product(tiles(n), tiles(k));
    return 4.0 * (product(m, tiles(k)) + weight_scales);
}

double activation_bytes(Precision precision) { return runs_in_fp8(precision) ? 1 : 2; }
double weight_bytes(Precision precision) {
    if (precision == Precision::bf16) return 2;
    return precision == Precision::int4_weight ? 0.5 : 1;
}

double gemm_bytes(const Gemm& g) {
    const double operands = activation_bytes(g.precision) * product(g.m, g.k) +
                            weight_bytes(g.precision) * product(g.n, g.k) +
                            scale_bytes(g.precision, g.m, g.n, g.k, 1, g.accumulate);
    return operands + (g.accumulate ? 8.0 : 2.0) * product(g.m, g.n);
}

double grouped_bytes(const GroupedGemm& g) {
    const double element = activation_bytes(g.precision);
    const double groups = static_cast<double>(g.groups);
    if (g.layout == GroupLayout::k_grouped) {  // one [n, rows of group] x [rows of group, k] each
        return element * product(g.rows, g.n + g.k) +
               scale_bytes(g.precision, g.n, g.k, g.rows, 1, true) +
               8.0 * groups * product(g.n, g.k);
    }
    return element * product(g.rows, g.k) + weight_bytes(g.precision) * groups * product(g.n, g.k) +
           scale_bytes(g.precision, g.rows, g.n, g.k, g.groups, false) + 2.0 * product(g.rows, g.n);
}

double attention_bytes(const Attention& a) {
    const double sequences = static_cast<double>(a.sequences);
    const double query_rows = sequences * product(a.query_length, a.query_heads);
    const double key_rows = sequences * product(a.key_length, a.key_heads);
    const double qk = static_cast<double>(a.query_key_dim), v = static_cast<double>(a.value_dim);
    // Absorbed MLA decodes from one latent a token whose first value_dim features are the values.
    const bool latent = a.pass == AttentionPass::decode && a.key_heads == 1 && qk > v;
    const double queries = 2 * query_rows * qk, outputs = 2 * query_rows * v;
    const double element = static_cast<double>(a.key_value_bits) / 8;
    const double keys_values = element * key_rows * (latent ? qk : qk + v);
    const double statistics = 4 * query_rows;
    if (a.pass != AttentionPass::backward) return queries + keys_values + outputs + statistics;
    // Q, K, V, dO, log-sum-exp and delta in; FP32 dQ, BF16 dK and dV out.
    return queries + keys_values + outputs + 2 * statistics + 2 * queries + keys_values;
}

double communication_bytes(const Communication& c) {
    const double buffer = c.bytes.value();
    const double share = c.ranks > 0 ? buffer / static_cast<double>(c.ranks) : buffer;
    switch (c.kind) {
        case CommunicationKind::all_reduce:
        case CommunicationKind::all_to_all:
            return 2 * buffer;
        case CommunicationKind::all_gather:
        case CommunicationKind::reduce_scatter:
            return buffer + share;
        case CommunicationKind::broadcast:
        case CommunicationKind::send_recv:
            return buffer;
        case CommunicationKind::expert_dispatch:
        case CommunicationKind::expert_combine: {
            // One copy on the token's side, at most one a rank that holds its experts on the other.
            const auto copies = std::min(c.top_k, c.ranks);
            return buffer * product(c.tokens, 1 + copies);
        }
    }
    return buffer;
}

}  // namespace

OperatorClass class_of(const Operator& op) {
    return std::visit(Overloaded{[](const Gemm&) { return OperatorClass::gemm; },
                                 [](const GroupedGemm&) { return OperatorClass::grouped_gemm; },
                                 [](const Attention&) { return OperatorClass::attention; },
                                 [](const MemoryOp&) { return OperatorClass::memory; },
                                 [](const Communication&) { return OperatorClass::communication; }},
                      op.shape);
}

Flops flops(const Operator& op) {
    return std::visit(
        Overloaded{
            [](const Gemm& g) { return Flops(2 * product(g.m, g.n) * static_cast<double>(g.k)); },
            [](const GroupedGemm& g) {
                return Flops(2 * product(g.rows, g.n) * static_cast<double>(g.k));
            },
            [](const Attention& a) {
                const double pairs = attention_pairs(a) * product(a.sequences, a.query_heads);
                const bool backward = a.pass == AttentionPass::backward;
                // QK^T, PV; backward: QK^T again, dS K, dS^T Q and dO V^T, P^T dO.
                const auto width = backward ? 3 * a.query_key_dim + 2 * a.value_dim
                                            : a.query_key_dim + a.value_dim;
                return Flops(2 * pairs * static_cast<double>(width));
            },
            [](const MemoryOp&) { return Flops(0); },
            [](const Communication&) { return Flops(0); }},
        op.shape);
}

Bytes bytes(const Operator& op) {
    return std::visit(
        Overloaded{[](const Gemm& g) { return Bytes(gemm_bytes(g)); },
                   [](const GroupedGemm& g) { return Bytes(grouped_bytes(g)); },
                   [](const Attention& a) { return Bytes(attention_bytes(a)); },
                   [](const MemoryOp& m) { return m.read + m.written; },
                   [](const Communication& c) { return Bytes(communication_bytes(c)); }},
        op.shape);
}

}  // namespace orrery
