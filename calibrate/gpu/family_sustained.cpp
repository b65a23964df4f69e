#include <functional>
#include <iterator>

#include <fmt/format.h>

#include "calibrate/gpu/attention_call.hpp"
#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/memory_ops.hpp"
#include "calibrate/surface.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery::calibrate {
namespace {

using K = MemoryOpKind;

Table sustained_table() {
    return {
        "sustained",
        {"load", "class", "operator", "precision", "m", "n", "k", "sm", "time_us", "burst_us",
         "sustained_over_burst", "n_samples", "spread", "clock_MHz", "power_W", "burst_clock_MHz"},
        8,
        {}};
}

struct Item {
    Subject subject;
    std::string operator_class, name, precision;
    double m = 0, n = 0, k = 0, sms = 0;
    std::function<void()> prepare = {};  // what its operands need before it runs alone
};

Item gemm_item(const Session& s, const GemmRunner& runner, const GemmCase& c,
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

std::vector<Item> gemm_items(const Session& s, const GemmRunner& runner,
                             const std::vector<GemmCase>& cases) {
    std::vector<Item> items;
    for (const GemmCase& c : cases) {
        const auto algorithms = runner.algorithms(c, 1);
        if (!algorithms.empty()) items.push_back(gemm_item(s, runner, c, algorithms[0]));
    }
    return items;
}

Item grouped_item(const Session& s, const GroupedCase& c) {
    return {grouped_subject(s.device, c),
            "grouped_gemm",
            std::string(to_string(c.layout)),
            std::string(to_string(Precision::fp8_block)),
            double(c.groups * c.rows_per_group),
            double(c.n),
            double(c.k),
            double(c.sms ? c.sms : s.device.info().sms)};
}

// Forward and, on the same operands, backward of DeepSeek-V3's attention.
std::vector<Item> attention_items(const Session& s) {
    const Attention a = one_sequence(AttentionPass::forward, 4096, 128);
    const AttentionPasses passes = attention_passes(s, a);
    const auto item = [&](const Subject& subject, const char* pass) {
        return Item{subject,
                    "attention",
                    pass,
                    std::string(to_string(Precision::bf16)),
                    double(a.query_heads),
                    double(a.query_length),
                    double(a.query_key_dim),
                    double(s.device.info().sms)};
    };
    std::vector<Item> items{item(passes.forward, "forward"), item(passes.backward, "backward")};
    items[1].prepare = [forward = passes.forward, &device = s.device] {
        for (int set = 0; set < forward.sets; ++set) forward.launch(set, device.stream());
    };
    return items;
}

Row key(const Item& i, const std::string& load) {
    return {load, i.operator_class, i.name, i.precision, i.m, i.n, i.k, i.sms};
}

// Burst times one by one, then all together without a pause; beside communication where given.
void run(const Session& s, const std::vector<Item>& items, const std::string& load, double seconds,
         BackgroundCommunication* communication) {
    if (items.empty() || s.journal.has("sustained", key(items[0], load))) return;
    std::vector<Series> burst;
    std::vector<Subject> loop;
    for (const Item& i : items) {
        if (i.prepare) i.prepare();
        burst.push_back(s.bench.burst(i.subject, s.rule));
        loop.push_back(i.subject);
    }
    if (communication && !communication->start({20, 2, true, 100})) return;
    const std::vector<Series> steady = s.bench.sustained(loop, seconds);
    if (communication) communication->stop();
    for (std::size_t i = 0; i < items.size(); ++i) {
        const double ratio = steady[i].time_us.median / burst[i].time_us.median;
        Row row = key(items[i], load);
        row.insert(row.end(), {steady[i].time_us.median, burst[i].time_us.median, ratio,
                               double(steady[i].time_us.n), steady[i].time_us.spread,
                               steady[i].clock_mhz, steady[i].power_w, burst[i].clock_mhz});
        s.journal.add(sustained_table(), row);
        s.progress(
            fmt::format("{} under {}: {:.1f} us, burst {:.1f}, ratio {:.3f}, {:.0f} MHz, "
                        "{:.0f} W",
                        items[i].subject.name, load, steady[i].time_us.median,
                        burst[i].time_us.median, ratio, steady[i].clock_mhz, steady[i].power_w));
    }
}

GemmCase gemm(std::int64_t m, std::int64_t n, std::int64_t k, Precision p, bool accumulate = false,
              std::int64_t sms = 0) {
    return {{m, n, k, p, accumulate}, sms, false};
}

void append(std::vector<Item>& to, std::vector<Item> items) {
    std::move(items.begin(), items.end(), std::back_inserter(to));
}

std::vector<Item> dense_items(const Session& s, GemmRunner& runner, std::int64_t sms) {
    constexpr Precision kBlock = Precision::fp8_block;
    constexpr std::int64_t kTokens = 4096;
    std::vector<Item> items;
    struct Linear {
        std::int64_t out, in;
    };
    // q_a with kv_a, q_b, kv_b, attention's output, the shared expert's two.
    for (const auto& [out, in] : {Linear{2112, 7168}, Linear{24576, 1536}, Linear{32768, 512},
                                  Linear{7168, 16384}, Linear{4096, 7168}, Linear{7168, 2048}})
        for (const GemmCase& c : {gemm(kTokens, out, in, kBlock, false, sms),
                                  gemm(kTokens, in, out, kBlock, false, sms),
                                  gemm(out, in, kTokens, kBlock, true, sms)}) {
            auto algorithms = runner.algorithms(c, 1);
            if (sms > 0)
                if (const auto small = small_cluster_algorithm(s, runner, c)) algorithms = {*small};
            if (!algorithms.empty()) items.push_back(gemm_item(s, runner, c, algorithms[0]));
        }
    return items;
}

std::vector<Item> expert_items(const Session& s, std::int64_t sms) {
    using enum GroupLayout;
    std::vector<Item> items;
    for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}, {2048, 7168}, {7168, 4096}})
        items.push_back(grouped_item(s, {contiguous, 4, 8192, n, k, sms}));
    for (const auto& [n, k] : {std::pair{4096, 7168}, {7168, 2048}})
        items.push_back(grouped_item(s, {k_grouped, 4, 8192, n, k, sms}));
    return items;
}

std::vector<Item> memory_items(const Session& s) {
    std::vector<Item> items;
    for (const MemoryCase& c :
         {MemoryCase{K::rms_norm, 4096, 7168}, MemoryCase{K::rms_norm_backward, 4096, 7168},
          MemoryCase{K::cast_fp8, 4096, 16384}, MemoryCase{K::cast_fp8, 32768, 7168},
          MemoryCase{K::swiglu, 32768, 2048}, MemoryCase{K::swiglu_backward, 32768, 2048},
          MemoryCase{K::permute, 32768, 7168}, MemoryCase{K::unpermute, 32768, 7168},
          MemoryCase{K::cast_transpose, 4096, 16384}, MemoryCase{K::cast_transpose, 32768, 7168},
          MemoryCase{K::rope, 4096 * 128, 64}, MemoryCase{K::copy, 4096, 24576},
          MemoryCase{K::add, 4096, 7168}})
        items.push_back({memory_subject(s.device, c), "memory", std::string(to_string(c.kind)), "",
                         double(c.rows), double(c.columns), 0, double(s.device.info().sms)});
    return items;
}

// A DeepSeek-V3 MoE layer of 4,096 tokens with 32,768 rows over 4 local experts: every matrix
// product of forward, input and weight gradients once, attention, and the larger memory-bound
// kernels. On fewer SMs the GEMMs take kernels with clusters of two, which fit beside
// communication; attention and memory-bound kernels keep all SMs.
std::vector<Item> layer_mix(const Session& s, GemmRunner& runner, std::int64_t sms) {
    std::vector<Item> items = attention_items(s);
    append(items, dense_items(s, runner, sms));
    append(items, expert_items(s, sms));
    append(items, memory_items(s));
    return items;
}

}  // namespace

void measure_sustained(const Session& s, double seconds) {
    GemmRunner runner(s.device);
    BackgroundCommunication communication(s.device);
    if (communication.start({})) communication.stop();  // loads the kernel
    run(s, layer_mix(s, runner, 0), "layer_mix", 1.5 * seconds, nullptr);
    const auto limited = layer_mix(s, runner, 112);
    run(s, limited, "layer_mix_112", 1.5 * seconds, nullptr);
    run(s, limited, "layer_mix_112_beside_20_sms_100_GBps", 1.5 * seconds, &communication);
    struct Shape {
        std::int64_t m, n, k;
    };
    for (const Precision p : {Precision::fp8_block, Precision::bf16, Precision::fp8_tensor})
        for (const Shape& q : {Shape{4096, 7168, 16384}, Shape{4096, 4096, 7168},
                               Shape{4096, 24576, 1536}, Shape{8192, 7168, 2048}})
            run(s, gemm_items(s, runner, {gemm(q.m, q.n, q.k, p)}), "alone", seconds, nullptr);
    run(s, attention_items(s), "alone", seconds, nullptr);
    run(s, gemm_items(s, runner, {gemm(7168, 16384, 4096, Precision::fp8_block, true)}), "alone",
        seconds, nullptr);
    run(s, gemm_items(s, runner, {gemm(4096, 7168, 16384, Precision::fp8_block, false, 112)}),
        "alone", seconds, nullptr);
    for (const Table& t : s.journal.tables())
        if (t.name == "sustained") {
            const Table summary =
                medians(t, "sustained_summary", {"load", "class", "operator", "precision", "sm"},
                        "sustained_over_burst");
            for (const Row& row : summary.rows)
                if (!s.journal.has(summary.name, Row(row.begin(), row.begin() + 5)))
                    s.journal.add(summary, row);
            break;
        }
}

}  // namespace orrery::calibrate
