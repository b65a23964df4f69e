#include "calibrate/gpu/layer_mix.hpp"

#include <iterator>

#include "calibrate/gpu/attention_call.hpp"
#include "calibrate/gpu/memory_ops.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery::calibrate {
namespace {

using K = MemoryOpKind;

MixItem gemm_item(const Session& s, const GemmRunner& runner, const GemmCase& c,
                  const GemmAlgorithm& a) {
    return {runner.subject(c, a),
            "gemm",
            c.gemm.accumulate ? "gemm_accumulate" : "gemm",
            std::string(to_string(c.gemm.precision)),
            double(c.gemm.m),
            double(c.gemm.n),
            double(c.gemm.k),
            double(c.sms ? c.sms : s.device.info().sms)};
}

MixItem grouped_item(const Session& s, const GroupedCase& c) {
    return {grouped_subject(s.device, c),
            "grouped_gemm",
            std::string(to_string(c.layout)),
            std::string(to_string(Precision::fp8_block)),
            double(c.groups * c.rows_per_group),
            double(c.n),
            double(c.k),
            double(c.sms ? c.sms : s.device.info().sms)};
}

void append(std::vector<MixItem>& to, std::vector<MixItem> items) {
    std::move(items.begin(), items.end(), std::back_inserter(to));
}

std::vector<MixItem> dense_items(const Session& s, GemmRunner& runner, std::int64_t sms) {
    constexpr Precision kBlock = Precision::fp8_block;
    constexpr std::int64_t kTokens = 4096;
    std::vector<MixItem> items;
    struct Linear {
        std::int64_t out, in;
    };
    // q_a with kv_a, q_b, kv_b, attention's output, the shared expert's two.
    for (const auto& [out, in] : {Linear{2112, 7168}, Linear{24576, 1536}, Linear{32768, 512},
                                  Linear{7168, 16384}, Linear{4096, 7168}, Linear{7168, 2048}})
        for (const GemmCase& c : {gemm_case(kTokens, out, in, kBlock, false, sms),
                                  gemm_case(kTokens, in, out, kBlock, false, sms),
                                  gemm_case(out, in, kTokens, kBlock, true, sms)}) {
            auto algorithms = runner.algorithms(c, 1);
            if (sms > 0)
                if (const auto small = small_cluster_algorithm(s, runner, c)) algorithms = {*small};
            if (!algorithms.empty()) items.push_back(gemm_item(s, runner, c, algorithms[0]));
        }
    return items;
}

std::vector<MixItem> expert_items(const Session& s, std::int64_t sms) {
    using enum GroupLayout;
    std::vector<MixItem> items;
    for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}, {2048, 7168}, {7168, 4096}})
        items.push_back(grouped_item(s, {contiguous, 4, 8192, n, k, sms}));
    for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}})
        items.push_back(grouped_item(s, {k_grouped, 4, 8192, n, k, sms}));
    return items;
}

std::vector<MixItem> memory_items(const Session& s, const std::vector<MemoryCase>& cases) {
    std::vector<MixItem> items;
    for (const MemoryCase& c : cases)
        items.push_back({memory_subject(s.device, c), "memory", std::string(to_string(c.kind)), "",
                         double(c.rows), double(c.columns), 0, double(s.device.info().sms)});
    return items;
}

}  // namespace

GemmCase gemm_case(std::int64_t m, std::int64_t n, std::int64_t k, Precision p, bool accumulate,
                   std::int64_t sms) {
    return {{m, n, k, p, accumulate}, sms, false};
}

Row mix_key(const MixItem& i, const std::string& load) {
    return {load, i.operator_class, i.name, i.precision, i.m, i.n, i.k, i.sms};
}

std::vector<MixItem> gemm_items(const Session& s, const GemmRunner& runner,
                                const std::vector<GemmCase>& cases) {
    std::vector<MixItem> items;
    for (const GemmCase& c : cases) {
        const auto algorithms = runner.algorithms(c, 1);
        if (!algorithms.empty()) items.push_back(gemm_item(s, runner, c, algorithms[0]));
    }
    return items;
}

std::vector<MixItem> attention_items(const Session& s) {
    const Attention a = one_sequence(AttentionPass::forward, 4096, 128);
    const AttentionPasses passes = attention_passes(s, a);
    const auto item = [&](const Subject& subject, const char* pass) {
        return MixItem{subject,
                       "attention",
                       pass,
                       std::string(to_string(Precision::bf16)),
                       double(a.query_heads),
                       double(a.query_length),
                       double(a.query_key_dim),
                       double(s.device.info().sms)};
    };
    std::vector<MixItem> items{item(passes.forward, "forward"), item(passes.backward, "backward")};
    items[1].prepare = [forward = passes.forward, &device = s.device] {
        for (int set = 0; set < forward.sets; ++set) forward.launch(set, device.stream());
    };
    return items;
}

std::vector<MixItem> layer_mix(const Session& s, GemmRunner& runner, std::int64_t sms) {
    std::vector<MixItem> items = attention_items(s);
    append(items, dense_items(s, runner, sms));
    append(items, expert_items(s, sms));
    append(
        items,
        memory_items(
            s, {MemoryCase{K::rms_norm, 4096, 7168}, MemoryCase{K::rms_norm_backward, 4096, 7168},
                MemoryCase{K::cast_fp8, 4096, 16384}, MemoryCase{K::cast_fp8, 32768, 7168},
                MemoryCase{K::swiglu, 32768, 2048}, MemoryCase{K::swiglu_backward, 32768, 2048},
                MemoryCase{K::permute, 32768, 7168}, MemoryCase{K::unpermute, 32768, 7168},
                MemoryCase{K::cast_transpose, 4096, 16384},
                MemoryCase{K::cast_transpose, 32768, 7168}, MemoryCase{K::rope, 4096 * 128, 64},
                MemoryCase{K::copy, 4096, 24576}, MemoryCase{K::add, 4096, 7168}}));
    return items;
}

std::vector<MixItem> decode_mix(const Session& s, GemmRunner& runner) {
    using enum GroupLayout;
    constexpr Precision kBlock = Precision::fp8_block;
    const Attention a{AttentionPass::decode, 64, 2, 4096, 128, 1, 576, 512, true};
    std::vector<MixItem> items{{decode_subject(s.device, a), "attention", "decode",
                                std::string(to_string(Precision::bf16)), double(a.sequences),
                                double(a.key_length), double(a.query_heads),
                                double(s.device.info().sms)}};
    append(items,
           gemm_items(s, runner,
                      {gemm_case(128, 2112, 7168, kBlock), gemm_case(128, 24576, 1536, kBlock),
                       gemm_case(128, 7168, 16384, kBlock), gemm_case(128, 4096, 7168, kBlock),
                       gemm_case(128, 7168, 2048, kBlock)}));
    items.push_back(grouped_item(s, {masked, 2, 512, 4096, 7168, 0}));
    items.push_back(grouped_item(s, {masked, 2, 512, 7168, 2048, 0}));
    append(items,
           memory_items(s, {MemoryCase{K::rms_norm, 128, 7168}, MemoryCase{K::cast_fp8, 128, 7168},
                            MemoryCase{K::cast_fp8, 128, 16384}, MemoryCase{K::swiglu, 1024, 2048},
                            MemoryCase{K::rope, 128 * 128, 64}}));
    return items;
}

}  // namespace orrery::calibrate
