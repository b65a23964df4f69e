#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/memory_ops.hpp"

namespace orrery::calibrate {
namespace {

using K = MemoryOpKind;

constexpr StoppingRule kRule{8, 16, 0.01, 0.15};

GemmCase gemm(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t sms,
              Precision p = Precision::fp8_block, bool accumulate = false) {
    return {{m, n, k, p, accumulate}, sms, false};
}

// Runs the subject beside the communication kernel. With `operator_first`, the operator's calls
// already occupy their SMs when the communication kernel arrives.
std::optional<Series> beside(const Session& s, BackgroundCommunication& communication,
                             const Subject& subject, const CommunicationSetting& setting,
                             bool operator_first, CommunicationReport& report) {
    if (operator_first)
        for (int i = 0; i < 40; ++i) subject.launch(i % subject.sets, s.device.stream());
    if (!communication.start(setting)) return std::nullopt;
    Series series = s.bench.burst(subject, kRule, Cache::rotating, operator_first ? 0 : 3);
    report = communication.stop();
    return series;
}

std::string joined(std::vector<int> values) {
    std::sort(values.begin(), values.end());
    std::string text;
    for (const int v : values) text += (text.empty() ? "" : " ") + std::to_string(v);
    return text;
}

Table mechanism_table() {
    return {"contention_mechanism",
            {"operator", "m", "n", "k", "sm", "kernel", "cluster_shape_id", "tile_id",
             "communication_sms", "communication_cluster", "communication_owns_sm",
             "communication_GBps_set", "order", "time_alone_us", "time_beside_us", "slowdown",
             "communication_GBps", "clock_MHz", "communication_sm_numbers"},
            13,
            {}};
}

void mechanism_row(const Session& s, BackgroundCommunication& communication, const GemmCase& c,
                   const GemmAlgorithm& a, const Subject& subject, const Series& alone,
                   const CommunicationSetting& setting, bool operator_first) {
    Row row{std::string(to_string(c.gemm.precision)),
            double(c.gemm.m),
            double(c.gemm.n),
            double(c.gemm.k),
            double(c.sms ? c.sms : s.device.info().sms),
            alone.kernel,
            double(a.cluster_shape),
            double(a.tile),
            double(setting.ctas),
            double(setting.cluster),
            double(setting.whole_sm),
            setting.gigabytes_per_second,
            std::string(operator_first ? "operator_first" : "communication_first")};
    if (s.journal.has("contention_mechanism", row)) return;
    CommunicationReport report;
    const auto series = beside(s, communication, subject, setting, operator_first, report);
    if (!series) return;
    const double ratio = series->time_us.median / alone.time_us.median;
    row.insert(row.end(), {alone.time_us.median, series->time_us.median, ratio,
                           report.gigabytes_per_second, series->clock_mhz, joined(report.sms)});
    s.journal.add(mechanism_table(), row);
    s.progress(
        fmt::format("{} {} beside {} CTAs (cluster {}, {}, {:.0f} GB/s, {}): {:.1f} -> "
                    "{:.1f} us, x {:.2f}",
                    describe(c), alone.kernel.substr(0, 60), setting.ctas, setting.cluster,
                    setting.whole_sm ? "own SMs" : "shared SMs", report.gigabytes_per_second,
                    operator_first ? "operator first" : "communication first", alone.time_us.median,
                    series->time_us.median, ratio));
}

// Distinct kernels among cuBLASLt's candidates, by cluster shape and tile, best first.
std::vector<GemmAlgorithm> distinct(const std::vector<GemmAlgorithm>& all, std::size_t most) {
    std::vector<GemmAlgorithm> result;
    std::set<std::pair<int, int>> seen;
    for (const GemmAlgorithm& a : all)
        if (result.size() < most && seen.insert({a.cluster_shape, a.tile}).second)
            result.push_back(a);
    return result;
}

struct Loaded {
    Subject subject;
    std::string operator_class, name;
    double m = 0, n = 0, k = 0, sms = 0;
    int cluster_shape = 0;
};

}  // namespace

void measure_placement(const Session& s) {
    const Table table{"placement", {"what", "index", "sm_numbers"}, 2, {}};
    const Placement p = probe_placement(s.device);
    std::string pairs;
    for (const auto& [a, b] : p.pairs) pairs += fmt::format("{}-{} ", a, b);
    for (std::size_t i = 0; i < p.groups.size(); ++i) {
        const Row row{std::string("sms_one_cluster_can_span"), double(i), joined(p.groups[i])};
        if (!s.journal.has("placement", {row[0], row[1]})) s.journal.add(table, row);
        s.progress(
            fmt::format("SM group {}: {} SMs: {}", i, p.groups[i].size(), joined(p.groups[i])));
    }
    const Row row{std::string("pairs_of_clusters_of_two"), 0.0, pairs};
    if (!s.journal.has("placement", {row[0], row[1]})) s.journal.add(table, row);
}

void measure_contention_mechanism(const Session& s) {
    GemmRunner runner(s.device);
    BackgroundCommunication communication(s.device);
    if (communication.start({})) communication.stop();  // loads the kernel
    for (const Precision p : {Precision::fp8_block, Precision::bf16}) {
        const GemmCase c = gemm(4096, 4096, 7168, 112, p);
        for (const GemmAlgorithm& a : distinct(runner.algorithms(c, 64), 14)) {
            const Subject subject = runner.subject(c, a);
            const Series alone = s.bench.burst(subject, kRule);
            for (const bool first : {false, true})
                for (const int cluster : {1, 2})
                    mechanism_row(s, communication, c, a, subject, alone, {20, cluster, true, 0},
                                  first);
            mechanism_row(s, communication, c, a, subject, alone, {20, 1, false, 0}, false);
            mechanism_row(s, communication, c, a, subject, alone, {20, 2, true, 100}, false);
        }
    }
}

void measure_contention(const Session& s) {
    const Table table{
        "contention",
        {"class", "operator", "m", "n", "k", "sm", "cluster_shape_id", "communication_sms",
         "communication_GBps_set", "time_alone_us", "time_beside_us", "slowdown",
         "communication_GBps", "n_samples", "spread", "clock_MHz", "clock_alone_MHz"},
        9,
        {}};
    GemmRunner runner(s.device);
    BackgroundCommunication communication(s.device);
    if (communication.start({})) communication.stop();
    const int all = s.device.info().sms;
    for (const int ctas : {20, 8, 16, 24}) {
        std::vector<Loaded> subjects;
        const std::int64_t sms = all - ctas;
        for (const GemmCase& c : {gemm(4096, 4096, 7168, sms), gemm(4096, 7168, 16384, sms),
                                  gemm(4096, 24576, 1536, sms), gemm(4096, 7168, 2048, sms),
                                  gemm(32768, 4096, 7168, sms),
                                  gemm(7168, 16384, 4096, sms, Precision::fp8_block, true),
                                  gemm(4096, 7168, 8192, sms, Precision::fp8_block, true),
                                  gemm(4096, 4096, 7168, sms, Precision::bf16)}) {
            const auto found = runner.algorithms(c, 64);
            if (found.empty()) continue;
            const std::string name =
                std::string(to_string(c.gemm.precision)) + (c.gemm.accumulate ? "_accumulate" : "");
            const char* of_class = c.gemm.m == 32768 ? "grouped_gemm" : "gemm";
            const auto add = [&](const GemmAlgorithm& a) {
                subjects.push_back({runner.subject(c, a), of_class, name, double(c.gemm.m),
                                    double(c.gemm.n), double(c.gemm.k), double(sms),
                                    a.cluster_shape});
            };
            add(found[0]);
            // The best candidate whose clusters hold at most two CTAs, as hand-written kernels use.
            for (const GemmAlgorithm& a : found)
                if (a.cluster_shape == CUBLASLT_CLUSTER_SHAPE_2x1x1 ||
                    a.cluster_shape == CUBLASLT_CLUSTER_SHAPE_1x2x1 ||
                    a.cluster_shape == CUBLASLT_CLUSTER_SHAPE_1x1x1) {
                    if (a.cluster_shape != found[0].cluster_shape) add(a);
                    break;
                }
        }
        for (const MemoryCase& c : {MemoryCase{K::rms_norm, 4096, 7168},
                                    {K::cast_fp8, 4096, 7168},
                                    {K::cast_transpose, 32768, 7168},
                                    {K::swiglu, 32768, 2048},
                                    {K::permute, 32768, 7168},
                                    {K::unpermute, 32768, 7168},
                                    {K::copy, 4096, 24576},
                                    {K::rms_norm_backward, 4096, 7168}})
            subjects.push_back({memory_subject(s.device, c), "memory",
                                std::string(to_string(c.kind)), double(c.rows), double(c.columns),
                                0, double(all), 0});
        for (const Loaded& l : subjects) {
            const Series alone = s.bench.burst(l.subject, kRule);
            for (const double rate : {0.0, 25.0, 50.0, 100.0, 200.0, 400.0}) {
                Row row{l.operator_class,        l.name,       l.m, l.n, l.k, l.sms,
                        double(l.cluster_shape), double(ctas), rate};
                if (s.journal.has("contention", row)) continue;
                CommunicationReport report;
                const auto r =
                    beside(s, communication, l.subject, {ctas, 2, true, rate}, false, report);
                if (!r) continue;
                const double ratio = r->time_us.median / alone.time_us.median;
                row.insert(row.end(), {alone.time_us.median, r->time_us.median, ratio,
                                       report.gigabytes_per_second, double(r->time_us.n),
                                       r->time_us.spread, r->clock_mhz, alone.clock_mhz});
                s.journal.add(table, row);
                s.progress(
                    fmt::format("{} (cluster {}) beside {} CTAs at {:.0f} GB/s: {:.1f} -> "
                                "{:.1f} us, x {:.3f}",
                                l.subject.name, l.cluster_shape, ctas, report.gigabytes_per_second,
                                alone.time_us.median, r->time_us.median, ratio));
            }
        }
    }
}

}  // namespace orrery::calibrate
