#pragma once
// The shapes each operator class is measured over, as maps from the unit cube, and two ways to pick
// points of it: at random for held-out shapes, evenly for the tables that a price is read from.
//
//   x(u) = low (high / low)^u, rounded to a step      log-uniform over the stated range
//
//   class                 axes (step)
//   gemm                  m 16..16,384 (16), n 512..131,072 (128), k 256..32,768 (128)
//   grouped contiguous    groups 1..64, rows a group 128..8,192 (128), n and k 512..8,192 (128)
//   grouped masked        groups 1..64, rows a group 1..1,024, n and k 512..8,192 (128)
//   grouped k_grouped     groups 1..16, rows a group 128..16,384 (128), n and k 512..8,192 (128)
//   attention forward,    sequences 1..8, length 256..16,384 (64), heads 8..128 (8), causal, head
//   backward              dims 192/128 and 128/128 in turn
//   attention decode      batch 1..256, context 128..131,072 (64); MLA (576/512, one key head) with
//                         16..128 heads (16) and GQA (128/128, 8 query heads a key head)
//                         with 8..128 query heads in turn
//   memory                rows 16..65,536 and the columns of memory_domains(); each kind in turn
//   copy                  64 KiB..1 GiB, flat
//
// Left out of the cube: more than 6 TFLOP a call (attention: forward FLOPs above 3 TFLOP), operands
// beyond 2^29 values a GEMM's weights, 3e9 results or 4e9 bytes, caches beyond 16 GB.

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "calibrate/shapes.hpp"
#include "core/random.hpp"

namespace orrery::calibrate {

template <std::size_t kAxes>
using Cube = std::array<double, kAxes>;  // each in [0, 1)

// The case at a point; nullopt where it is beyond the limits.
std::optional<GemmCase> gemm_at(Precision precision, std::int64_t sms, const Cube<3>& u);
std::optional<GroupedCase> grouped_at(GroupLayout layout, std::int64_t sms, const Cube<4>& u);
// `turn` picks the head dims.
std::optional<Attention> attention_at(AttentionPass pass, std::uint64_t turn, const Cube<3>& u);
std::optional<Attention> decode_at(std::uint64_t turn, const Cube<3>& u);
std::optional<MemoryCase> copy_at(const Cube<1>& u);

// A memory kind's ranges; columns are 1 (flat) or stepped.
struct MemoryDomain {
    MemoryOpKind kind;
    std::int64_t rows_low, rows_high, rows_step, columns_low, columns_high, columns_step;
};
const std::vector<MemoryDomain>& memory_domains();
std::optional<MemoryCase> memory_at(const MemoryDomain& domain, const Cube<2>& u);

// The first `count` cases of make(point, i): points from the counter-based generator, draw
// kAxes i + axis of `component` under `seed`.
template <std::size_t kAxes, class Make>
auto random_cases(std::uint64_t seed, std::uint64_t component, std::size_t count, Make make) {
    std::vector<typename decltype(make(Cube<kAxes>{}, std::uint64_t{}))::value_type> cases;
    for (std::uint64_t i = 0; cases.size() < count; ++i) {
        Cube<kAxes> u;
        for (std::size_t a = 0; a < kAxes; ++a)
            u[a] = counter_uniform(seed, component, kAxes * i + a);
        if (const auto found = make(u, i)) cases.push_back(*found);
    }
    return cases;
}

// The same with points spread evenly: additive recurrence u_a = frac(1/2 + (i + 1) g^-(a + 1)) with
// g the root of g^(kAxes + 1) = g + 1 (M. Roberts, "The unreasonable effectiveness of quasirandom
// sequences", 2018). Any first part of the sequence is even.
template <std::size_t kAxes, class Make>
auto even_cases(std::size_t count, Make make) {
    double g = 2;
    for (int i = 0; i < 60; ++i) g = std::pow(1 + g, 1.0 / (kAxes + 1));
    std::vector<typename decltype(make(Cube<kAxes>{}, std::uint64_t{}))::value_type> cases;
    for (std::uint64_t i = 0; cases.size() < count; ++i) {
        Cube<kAxes> u;
        for (std::size_t a = 0; a < kAxes; ++a) {
            const double at = 0.5 + double(i + 1) * std::pow(g, -double(a + 1));
            u[a] = at - std::floor(at);
        }
        if (const auto found = make(u, i)) cases.push_back(*found);
    }
    return cases;
}

}  // namespace orrery::calibrate
