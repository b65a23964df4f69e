#include "calibrate/shapes.hpp"

#include <algorithm>
#include <cmath>

namespace orrery::calibrate {
namespace {

constexpr double kLargestFlops = 6e12;
constexpr double kLargestWeights = double(1ll << 29);

bool within_limits(const Gemm& g) {
    return 2.0 * double(g.m) * double(g.n) * double(g.k) <= kLargestFlops &&
           double(g.n) * double(g.k) <= kLargestWeights && double(g.m) * double(g.n) <= 3e9;
}

}  // namespace

std::vector<GemmCase> gemm_grid(Precision precision) {
    std::vector<GemmCase> cases;
    for (const std::int64_t m : {16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384})
        for (const std::int64_t n : {512, 1536, 4096, 7168, 16384, 32768, 131072})
            for (const std::int64_t k : {256, 1024, 2048, 4096, 7168, 16384, 32768}) {
                const Gemm g{m, n, k, precision, false};
                if (within_limits(g)) cases.push_back({g, 0, false});
            }
    return cases;
}

std::vector<GemmCase> gemm_training_shapes() {
    struct Shape {
        std::int64_t m, n, k;
    };
    constexpr Shape kForwardAndInputGradient[] = {
        {4096, 2112, 7168},  {4096, 1536, 7168},  {4096, 576, 7168},   {4096, 24576, 1536},
        {4096, 32768, 512},  {4096, 7168, 16384}, {4096, 4096, 7168},  {4096, 7168, 2048},
        {4096, 7168, 1536},  {4096, 7168, 576},   {4096, 1536, 24576}, {4096, 512, 32768},
        {4096, 16384, 7168}, {4096, 7168, 4096},  {4096, 2048, 7168},  {4096, 36864, 7168},
        {4096, 7168, 18432}, {4096, 18432, 7168}, {4096, 7168, 36864}, {8192, 4096, 7168},
        {8192, 7168, 2048},  {8192, 7168, 4096},  {8192, 2048, 7168},  {32768, 4096, 7168},
        {32768, 7168, 2048}, {32768, 7168, 4096}, {32768, 2048, 7168}, {4096, 7168, 14336}};
    constexpr Shape kWeightGradient[] = {
        {7168, 16384, 4096}, {32768, 512, 4096}, {24576, 1536, 4096}, {576, 7168, 4096},
        {1536, 7168, 4096},  {2112, 7168, 4096}, {4096, 7168, 4096},  {7168, 2048, 4096},
        {4096, 7168, 8192},  {7168, 2048, 8192}, {36864, 7168, 4096}, {7168, 18432, 4096},
        {7168, 14336, 4096}};
    constexpr Shape kRouterForward[] = {{4096, 256, 7168}};
    constexpr Shape kRouterBackward[] = {{4096, 7168, 256}, {7168, 256, 4096}, {256, 7168, 4096}};
    constexpr Shape kHead[] = {{4096, 129280, 7168}, {4096, 7168, 129280}, {129280, 7168, 4096}};
    std::vector<GemmCase> cases;
    for (const std::int64_t sms : {0, 112, 110}) {
        for (const Shape& s : kForwardAndInputGradient)
            cases.push_back({{s.m, s.n, s.k, Precision::fp8_block, false}, sms, false});
        for (const Shape& s : kWeightGradient)
            cases.push_back({{s.m, s.n, s.k, Precision::fp8_block, true}, sms, false});
        cases.push_back({{7168, 16384, 4096, Precision::fp8_block, false}, sms, true});
        cases.push_back({{4096, 7168, 8192, Precision::fp8_block, false}, sms, true});
        for (const Shape& s : kRouterForward)
            cases.push_back({{s.m, s.n, s.k, Precision::bf16, false}, sms, true});
        for (const Shape& s : kRouterBackward) {
            cases.push_back({{s.m, s.n, s.k, Precision::bf16, false}, sms, false});
            cases.push_back({{s.m, s.n, s.k, Precision::bf16, true}, sms, false});
        }
        for (const Shape& s : kHead)
            cases.push_back({{s.m, s.n, s.k, Precision::bf16, s.m == 129280}, sms, false});
    }
    return cases;
}

std::vector<MemoryCase> memory_training_shapes() {
    using K = MemoryOpKind;
    std::vector<MemoryCase> cases;
    for (const std::int64_t columns : {7168, 1536, 512}) {
        cases.push_back({K::rms_norm, 4096, columns});
        cases.push_back({K::rms_norm_backward, 4096, columns});
    }
    for (const std::int64_t columns : {7168, 16384, 4096, 2048, 1536, 576, 512, 24576, 32768}) {
        if (columns % 128 == 0) cases.push_back({K::cast_fp8, 4096, columns});
        cases.push_back({K::cast_transpose, 4096, columns});
        if (columns % 128 == 0) cases.push_back({K::transpose, 4096, columns});
    }
    for (const std::int64_t columns : {7168, 4096, 2048}) {
        cases.push_back({K::cast_fp8, 32768, columns});
        cases.push_back({K::cast_transpose, 32768, columns});
        cases.push_back({K::cast_back, 32768, columns});
    }
    cases.push_back({K::cast_back, 4096, 7168});
    cases.push_back({K::cast_back, 4096, 16384});
    for (const std::int64_t rows : {4096, 32768}) {
        cases.push_back({K::swiglu, rows, 2048});
        cases.push_back({K::swiglu_backward, rows, 2048});
    }
    cases.push_back({K::swiglu, 4096, 18432});
    cases.push_back({K::swiglu_backward, 4096, 18432});
    cases.push_back({K::rope, 4096 * 128, 64});
    cases.push_back({K::rope, 4096, 64});
    for (const K kind : {K::add, K::copy, K::zero}) cases.push_back({kind, 4096, 7168});
    cases.push_back({K::copy, 4096, 24576});
    cases.push_back({K::copy, 4096, 16384});
    cases.push_back({K::zero, 7168, 16384});
    cases.push_back({K::router, 4096, 256});
    cases.push_back({K::permute, 32768, 7168});
    cases.push_back({K::unpermute, 32768, 7168});
    cases.push_back({K::embedding, 4096, 7168});
    cases.push_back({K::cross_entropy, 4096, 129280});
    for (const std::int64_t millions : {8, 64}) {
        cases.push_back({K::adamw, millions << 20, 1});
        cases.push_back({K::norm_reduce, millions << 20, 1});
    }
    return cases;
}

std::vector<MemoryCase> memory_size_sweep() {
    using K = MemoryOpKind;
    struct Sweep {
        K kind;
        std::int64_t columns;  // 1: flat
    };
    constexpr Sweep kSweeps[] = {{K::rms_norm, 7168},
                                 {K::rms_norm_backward, 7168},
                                 {K::cast_fp8, 7168},
                                 {K::cast_transpose, 7168},
                                 {K::transpose, 7168},
                                 {K::cast_back, 7168},
                                 {K::swiglu, 2048},
                                 {K::swiglu_backward, 2048},
                                 {K::rope, 64},
                                 {K::add, 7168},
                                 {K::copy, 7168},
                                 {K::zero, 7168},
                                 {K::router, 256},
                                 {K::permute, 7168},
                                 {K::unpermute, 7168},
                                 {K::embedding, 7168},
                                 {K::cross_entropy, 129280},
                                 {K::adamw, 1},
                                 {K::norm_reduce, 1}};
    std::vector<MemoryCase> cases;
    for (const Sweep& s : kSweeps)
        for (double target = double(1 << 20); target <= double(1 << 30); target *= 4) {
            const double per_row = memory_bytes({s.kind, 4096, s.columns}) / 4096;
            const std::int64_t step = s.columns == 1 ? 1024 : 128;
            const auto rows = std::int64_t(std::llround(target / per_row / double(step))) * step;
            if (rows > 0) cases.push_back({s.kind, rows, s.columns});
        }
    return cases;
}

std::vector<MemoryCase> memory_floor() {
    using K = MemoryOpKind;
    std::vector<MemoryCase> cases;
    for (const K kind : {K::copy, K::add, K::zero, K::cast_fp8})
        cases.push_back({kind, kFloorRows, kFloorColumns});
    return cases;
}

double memory_bytes(const MemoryCase& c) {
    using K = MemoryOpKind;
    const double n = double(c.rows) * double(c.columns), rows = double(c.rows);
    switch (c.kind) {
        case K::rms_norm:
            return 4 * n + 4 * rows;
        case K::rms_norm_backward:
            return 6 * n + 4 * rows;
        case K::cast_fp8:
        case K::cast_transpose:
        case K::cast_back:
            return n * (3 + 4.0 / 128);
        case K::transpose:
            return 2 * n;
        case K::swiglu:
            return n * (5 + 4.0 / 128);
        case K::swiglu_backward:
            return 10 * n;
        case K::rope:
            return 4 * n;
        case K::add:
            return 6 * n;
        case K::copy:
            return 4 * n;
        case K::zero:
            return 2 * n;
        case K::router:
            return rows * (4 * 256 + 8 * 8);
        case K::permute:
            return n * (1 + kTokensPerExpertRow) + 4 * rows;
        case K::unpermute:
            return 2 * n * (1 + kTokensPerExpertRow) + 32 * rows;
        case K::embedding:
            return 4 * n;
        case K::cross_entropy:
            return 4 * n;
        case K::adamw:
            return 22 * n;
        case K::norm_reduce:
            return 4 * n;
        default:
            return 0;  // no kernel of ours
    }
}

}  // namespace orrery::calibrate
