// Why a GEMM slows down beside a communication kernel: cluster shapes against placement.

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"

namespace orrery::calibrate {
namespace {

constexpr StoppingRule kRule{8, 16, 0.01, 0.15};

std::string joined(std::vector<int> values) {
    std::sort(values.begin(), values.end());
    std::string text;
    for (const int v : values) text += (text.empty() ? "" : " ") + std::to_string(v);
    return text;
}

Table mechanism_table() {
    return {"contention_mechanism",
            {"precision",
             "m",
             "n",
             "k",
             "sm",
             "algorithm_from",
             "cluster_ctas",
             "tile_id",
             "communication_sms",
             "communication_cluster",
             "communication_owns_sm",
             "communication_GBps_set",
             "order",
             "kernel",
             "ctas",
             "time_alone_us",
             "time_beside_us",
             "slowdown",
             "communication_GBps",
             "clock_MHz",
             "communication_sm_numbers"},
            13,
            {}};
}

struct Trial {
    GemmCase gemm;
    GemmAlgorithm algorithm;
    std::string from;  // which question cuBLASLt was asked
};

void try_beside(const Session& s, BackgroundCommunication& communication, const Trial& t,
                const Subject& subject, const Series& alone, const CommunicationSetting& setting,
                bool operator_first) {
    const Gemm& g = t.gemm.gemm;
    Row row{std::string(to_string(g.precision)),
            double(g.m),
            double(g.n),
            double(g.k),
            double(t.gemm.sms),
            t.from,
            double(cluster_ctas(t.algorithm.cluster_shape)),
            double(t.algorithm.tile),
            double(setting.ctas),
            double(setting.cluster),
            double(setting.whole_sm),
            setting.gigabytes_per_second,
            std::string(operator_first ? "operator_first" : "communication_first")};
    if (s.journal.has("contention_mechanism", row)) return;
    CommunicationReport report;
    const auto series =
        beside(s.device, s.bench, kRule, communication, subject, setting, operator_first, report);
    if (!series) return;
    const double ratio = series->time_us.median / alone.time_us.median;
    row.insert(row.end(), {alone.kernel.substr(0, 60), double(alone.ctas), alone.time_us.median,
                           series->time_us.median, ratio, report.gigabytes_per_second,
                           series->clock_mhz, joined(report.sms)});
    s.journal.add(mechanism_table(), row);
    s.progress(
        fmt::format("{} [{}] {} ({} CTAs, clusters of {}) beside {} (cluster {}, {}, {:.0f} "
                    "GB/s, {}): {:.1f} -> {:.1f} us, x {:.3f}",
                    describe(t.gemm), t.from, alone.kernel.substr(0, 50), alone.ctas,
                    cluster_ctas(t.algorithm.cluster_shape), setting.ctas, setting.cluster,
                    setting.whole_sm ? "own SMs" : "shared SMs", report.gigabytes_per_second,
                    operator_first ? "operator first" : "communication first", alone.time_us.median,
                    series->time_us.median, ratio));
}

// Candidates with distinct cluster shapes and tiles: what cuBLASLt offers for the limited SM count,
// what it offers for the whole device, and its best with smaller clusters forced.
std::vector<Trial> trials(const GemmRunner& runner, const GemmCase& c) {
    std::vector<Trial> result;
    std::set<std::tuple<int, int>> seen;
    const auto add = [&](const GemmAlgorithm& a, const char* from, std::size_t most) {
        if (result.size() < most && seen.insert({a.cluster_shape, a.tile}).second)
            result.push_back({c, a, from});
    };
    const auto own = runner.algorithms(c, 64);
    for (const GemmAlgorithm& a : own) add(a, "limited", 6);
    GemmCase whole = c;
    whole.sms = 0;
    for (const GemmAlgorithm& a : runner.algorithms(whole, 64)) add(a, "whole_device", 12);
    for (std::size_t i = 0; i < std::min<std::size_t>(own.size(), 3); ++i)
        for (const int shape : {CUBLASLT_CLUSTER_SHAPE_2x1x1, CUBLASLT_CLUSTER_SHAPE_1x2x1,
                                CUBLASLT_CLUSTER_SHAPE_1x1x1, CUBLASLT_CLUSTER_SHAPE_2x2x1})
            if (const auto a = runner.with_cluster(c, own[i], shape)) add(*a, "forced", 22);
    return result;
}

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
    for (const Precision p : {Precision::fp8_block, Precision::bf16})
        for (const std::int64_t sms : {112, 110})
            for (const Trial& t : trials(runner, {{4096, 4096, 7168, p, false}, sms, false})) {
                const Subject subject = runner.subject(t.gemm, t.algorithm);
                const Series alone = s.bench.burst(subject, kRule);
                for (const bool first : {false, true})
                    for (const int cluster : {1, 2})
                        try_beside(s, communication, t, subject, alone, {20, cluster, true, 0},
                                   first);
                try_beside(s, communication, t, subject, alone, {20, 1, false, 0}, false);
                try_beside(s, communication, t, subject, alone, {20, 2, true, 100}, false);
            }
}

}  // namespace orrery::calibrate
