#pragma once
// Kernels of a layer of DeepSeek-V3, to be run in turn without a pause.

#include <functional>
#include <string>
#include <vector>

#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"

namespace orrery::calibrate {

struct MixItem {
    Subject subject;
    std::string operator_class, name, precision;
    double m = 0, n = 0, k = 0, sms = 0;
    std::function<void()> prepare = {};  // what its operands need before it runs alone
};

// A MoE layer of 4,096 tokens with 32,768 rows over 4 local experts: every matrix product of
// forward, input and weight gradients once, attention, and the larger memory-bound kernels. On
// fewer SMs (`sms`; 0: all) the GEMMs take kernels with clusters of two, which fit beside
// communication; attention and memory-bound kernels keep all SMs.
std::vector<MixItem> layer_mix(const Session& s, GemmRunner& runner, std::int64_t sms);
// A MoE layer's decoding of 128 query tokens of 64 sequences with 4,096 tokens of context, on one
// of 128 GPUs of an expert group: 2 local experts with 512 rows each.
std::vector<MixItem> decode_mix(const Session& s, GemmRunner& runner);

// Parts: attention forward and, on the same operands, backward; each GEMM by cuBLASLt's fastest.
std::vector<MixItem> attention_items(const Session& s);
std::vector<MixItem> gemm_items(const Session& s, const GemmRunner& runner,
                                const std::vector<GemmCase>& cases);
GemmCase gemm_case(std::int64_t m, std::int64_t n, std::int64_t k, Precision p,
                   bool accumulate = false, std::int64_t sms = 0);

// (load, class, operator, precision, m, n, k, sm): where its rows stand in a table.
Row mix_key(const MixItem& item, const std::string& load);

}  // namespace orrery::calibrate
