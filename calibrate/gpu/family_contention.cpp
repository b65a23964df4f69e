// The slowdown surface: operators of every class beside a communication kernel.

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "calibrate/gpu/attention_call.hpp"
#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/memory_ops.hpp"
#include "calibrate/surface.hpp"

namespace orrery::calibrate {
namespace {

using K = MemoryOpKind;

constexpr StoppingRule kRule{8, 16, 0.01, 0.15};
constexpr StoppingRule kShortRule{4, 6, 0.02, 0.05};

struct Loaded {
    Subject subject;
    std::string operator_class, name;
    double m = 0, n = 0, k = 0, sms = 0;
    int cluster = 1;  // CTAs
};

Table contention_table() {
    return {"contention",
            {"class", "operator", "m", "n", "k", "sm", "cluster_ctas", "communication_sms",
             "communication_GBps_set", "ctas", "time_alone_us", "time_beside_us", "slowdown",
             "communication_GBps", "n_samples", "spread", "clock_MHz", "clock_alone_MHz"},
            9,
            {}};
}

// GEMMs of a training step on `sms` SMs; the one of 32,768 rows stands for a grouped GEMM.
std::vector<GemmCase> gemm_cases(std::int64_t sms) {
    constexpr Precision kBlock = Precision::fp8_block;
    std::vector<GemmCase> cases;
    for (const Gemm& g :
         {Gemm{4096, 4096, 7168, kBlock, false}, Gemm{4096, 7168, 16384, kBlock, false},
          Gemm{4096, 24576, 1536, kBlock, false}, Gemm{4096, 32768, 512, kBlock, false},
          Gemm{4096, 7168, 2048, kBlock, false}, Gemm{32768, 4096, 7168, kBlock, false},
          Gemm{32768, 7168, 2048, kBlock, false}, Gemm{7168, 16384, 4096, kBlock, true},
          Gemm{4096, 7168, 8192, kBlock, true}, Gemm{4096, 4096, 7168, Precision::bf16, false}})
        cases.push_back({g, sms, false});
    return cases;
}

Loaded loaded(const GemmRunner& runner, const GemmCase& c, const GemmAlgorithm& a) {
    const Gemm& g = c.gemm;
    return {runner.subject(c, a),
            g.m == 32768 ? "grouped_gemm" : "gemm",
            std::string(to_string(g.precision)) + (g.accumulate ? "_accumulate" : ""),
            double(g.m),
            double(g.n),
            double(g.k),
            double(c.sms),
            cluster_ctas(a.cluster_shape)};
}

std::vector<Loaded> gemm_subjects(const Session& s, const GemmRunner& runner, std::int64_t sms) {
    std::vector<Loaded> subjects;
    for (const GemmCase& c : gemm_cases(sms)) {
        const auto found = runner.algorithms(c, 1);
        if (found.empty()) continue;
        subjects.push_back(loaded(runner, c, found[0]));
        if (subjects.back().cluster <= kMostClusterCtas) continue;
        if (const auto small = small_cluster_algorithm(s, runner, c))
            subjects.push_back(loaded(runner, c, *small));
    }
    return subjects;
}

std::vector<Loaded> memory_subjects(const Session& s) {
    std::vector<Loaded> subjects;
    for (const MemoryCase& c : {MemoryCase{K::rms_norm, 4096, 7168},
                                {K::cast_fp8, 4096, 7168},
                                {K::cast_fp8, 32768, 7168},
                                {K::cast_transpose, 32768, 7168},
                                {K::swiglu, 32768, 2048},
                                {K::swiglu_backward, 32768, 2048},
                                {K::permute, 32768, 7168},
                                {K::unpermute, 32768, 7168},
                                {K::copy, 4096, 24576},
                                {K::rope, 4096 * 128, 64},
                                {K::rms_norm_backward, 4096, 7168}})
        subjects.push_back({memory_subject(s.device, c), "memory", std::string(to_string(c.kind)),
                            double(c.rows), double(c.columns), 0, double(s.device.info().sms), 1});
    return subjects;
}

// Attention's operands last until something else runs: each subject is made when it is measured.
Loaded attention_subject_of(const Session& s, const Attention& a) {
    return {attention_subject(s, a, attention_call(a)),
            "attention",
            attention_pass_name(a),
            double(a.query_heads),
            double(a.query_length),
            double(a.query_key_dim),
            double(s.device.info().sms),
            1};
}

void measure(const Session& s, BackgroundCommunication& communication, const Loaded& l, int ctas,
             std::vector<SlowdownSample>& samples) {
    const Series alone = s.bench.burst(l.subject, kRule);
    for (const double rate : {0.0, 25.0, 50.0, 100.0, 200.0, 400.0}) {
        Row row{l.operator_class,  l.name,       l.m, l.n, l.k, l.sms,
                double(l.cluster), double(ctas), rate};
        if (s.journal.has("contention", row)) continue;
        CommunicationReport report;
        const auto r = beside(s.device, s.bench, kRule, communication, l.subject,
                              {ctas, 2, true, rate}, false, report);
        if (!r) continue;
        const double ratio = r->time_us.median / alone.time_us.median;
        row.insert(row.end(), {double(alone.ctas), alone.time_us.median, r->time_us.median, ratio,
                               report.gigabytes_per_second, double(r->time_us.n), r->time_us.spread,
                               r->clock_mhz, alone.clock_mhz});
        s.journal.add(contention_table(), row);
        samples.push_back({l.operator_class, ctas, rate, ratio, l.cluster});
        s.progress(
            fmt::format("{} (clusters of {}) beside {} CTAs at {:.0f} GB/s: {:.1f} -> "
                        "{:.1f} us, x {:.3f}",
                        l.subject.name, l.cluster, ctas, report.gigabytes_per_second,
                        alone.time_us.median, r->time_us.median, ratio));
    }
}

}  // namespace

std::optional<GemmAlgorithm> small_cluster_algorithm(const Session& s, const GemmRunner& runner,
                                                     const GemmCase& c) {
    std::optional<GemmAlgorithm> best;
    double least = 0;
    for (const GemmAlgorithm& a : runner.small_cluster_candidates(c)) {
        try {
            const Series r = s.bench.burst(runner.subject(c, a), kShortRule);
            if (r.ctas > c.sms || (best && r.time_us.median >= least)) continue;
            best = a;
            least = r.time_us.median;
        } catch (const std::exception&) {  // not every candidate runs under another SM count
        }
    }
    return best;
}

void measure_contention(const Session& s) {
    GemmRunner runner(s.device);
    BackgroundCommunication communication(s.device);
    if (communication.start({})) communication.stop();  // loads the kernel
    std::vector<SlowdownSample> samples;
    for (const int ctas : {20, 8, 16, 24}) {
        for (const Loaded& l : gemm_subjects(s, runner, s.device.info().sms - ctas))
            measure(s, communication, l, ctas, samples);
        for (const Loaded& l : memory_subjects(s)) measure(s, communication, l, ctas, samples);
        for (const AttentionPass pass : {AttentionPass::forward, AttentionPass::backward})
            for (const std::int64_t heads : {128, 32})
                measure(s, communication, attention_subject_of(s, one_sequence(pass, 4096, heads)),
                        ctas, samples);
    }
    const Table surface = slowdown_surface(samples, kMostClusterCtas);
    for (const Row& row : surface.rows)
        if (!s.journal.has(surface.name, {row[0], row[1], row[2]})) s.journal.add(surface, row);
}

}  // namespace orrery::calibrate
