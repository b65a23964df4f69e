#include <fmt/format.h>

#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/memory_ops.hpp"
#include "calibrate/surface.hpp"

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

// One MoE layer's forward, input gradient and weight gradient with the memory-bound kernels
// between. On fewer SMs the GEMMs take kernels with clusters of two, which fit beside
// communication.
std::vector<Item> layer_mix(const Session& s, GemmRunner& runner, std::int64_t sms) {
    constexpr Precision kBlock = Precision::fp8_block;
    std::vector<Item> items;
    for (const GemmCase& c :
         {gemm(4096, 24576, 1536, kBlock, false, sms), gemm(4096, 32768, 512, kBlock, false, sms),
          gemm(4096, 7168, 16384, kBlock, false, sms), gemm(4096, 4096, 7168, kBlock, false, sms),
          gemm(32768, 4096, 7168, kBlock, false, sms), gemm(32768, 7168, 2048, kBlock, false, sms),
          gemm(32768, 2048, 7168, kBlock, false, sms), gemm(32768, 7168, 4096, kBlock, false, sms),
          gemm(4096, 16384, 7168, kBlock, false, sms), gemm(7168, 16384, 4096, kBlock, true, sms),
          gemm(4096, 7168, 8192, kBlock, true, sms), gemm(7168, 2048, 8192, kBlock, true, sms)}) {
        auto algorithms = runner.algorithms(c, 1);
        if (sms > 0)
            if (const auto small = small_cluster_algorithm(s, runner, c)) algorithms = {*small};
        if (!algorithms.empty()) items.push_back(gemm_item(s, runner, c, algorithms[0]));
    }
    for (const MemoryCase& c : {MemoryCase{K::rms_norm, 4096, 7168},
                                {K::cast_fp8, 32768, 7168},
                                {K::swiglu, 32768, 2048},
                                {K::swiglu_backward, 32768, 2048},
                                {K::permute, 32768, 7168},
                                {K::unpermute, 32768, 7168},
                                {K::cast_transpose, 32768, 7168},
                                {K::rope, 4096 * 128, 64},
                                {K::copy, 4096, 24576}})
        items.push_back({memory_subject(s.device, c), "memory", std::string(to_string(c.kind)), "",
                         double(c.rows), double(c.columns), 0, double(s.device.info().sms)});
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
