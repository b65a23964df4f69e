// How long a stream idles between two kernels: the second queued long before the first has ended,
// or both in one CUDA graph.

#include <fmt/format.h>

#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"
#include "calibrate/gpu/memory_ops.hpp"

namespace orrery::calibrate {
namespace {

using K = MemoryOpKind;

Table gap_table() {
    return {"launch_gap",
            {"loop", "kernels", "gap_us", "n_samples", "spread", "low_us", "high_us",
             "profiled_gap_us"},
            1,
            {}};
}

std::vector<Subject> memory_loop(const Session& s) {
    std::vector<Subject> loop;
    for (const MemoryCase& c : {MemoryCase{K::rms_norm, 4096, 7168},
                                {K::cast_fp8, 4096, 7168},
                                {K::transpose, 4096, 7168},
                                {K::rope, 4096 * 128, 64},
                                {K::swiglu, 4096, 2048},
                                {K::cast_transpose, 4096, 2048}}) {
        loop.push_back(memory_subject(s.device, c));
    }
    return loop;
}

void run(const Session& s, const std::string& name, const std::vector<Subject>& loop) {
    constexpr int kRounds = 40;
    if (loop.empty() || s.journal.has("launch_gap", {name})) return;
    const Bench::Gaps gaps = s.bench.gaps(loop, kRounds);
    const Summary summary = summarize(gaps.plain);
    const double profiled = summarize(gaps.profiled).median;
    s.journal.add(gap_table(), {name, double(loop.size()), summary.median, double(summary.n),
                                summary.spread, summary.low, summary.high, profiled});
    s.progress(
        fmt::format("gap, {}: {:.2f} us, 5 to 95 %: {:.2f} to {:.2f}; as CUPTI records it {:.2f}",
                    name, summary.median, summary.low, summary.high, profiled));
}

// Kernels of a decoding step of 128 tokens.
std::vector<Subject> decode_loop(const Session& s, GemmRunner& runner) {
    std::vector<Subject> loop;
    for (const MemoryCase& c : {MemoryCase{K::rms_norm, 128, 7168},
                                {K::cast_fp8, 128, 7168},
                                {K::swiglu, 128, 2048},
                                {K::rope, 128 * 128, 64}}) {
        loop.push_back(memory_subject(s.device, c));
    }
    for (const std::int64_t n : {1536, 4096}) {
        const GemmCase c{{128, n, 7168, Precision::fp8_block, false}, 0, false};
        const auto algorithms = runner.algorithms(c, 1);
        if (!algorithms.empty()) loop.push_back(runner.subject(c, algorithms[0]));
    }
    return loop;
}

void run_graph(const Session& s, const std::string& name, const std::vector<Subject>& loop) {
    constexpr int kRounds = 40;
    if (loop.empty() || s.journal.has("graph_gap", {name})) return;
    const Summary summary = summarize(s.bench.graph_gaps(loop, kRounds));
    Table table = gap_table();
    table.name = "graph_gap";
    table.columns.pop_back();
    s.journal.add(table, {name, double(loop.size()), summary.median, double(summary.n),
                          summary.spread, summary.low, summary.high});
    s.progress(fmt::format("gap in a CUDA graph, {}: {:.2f} us, 5 to 95 %: {:.2f} to {:.2f}", name,
                           summary.median, summary.low, summary.high));
}

}  // namespace

void measure_launch_gap(const Session& s) {
    std::vector<Subject> loop = memory_loop(s);
    run(s, "memory-bound kernels", loop);
    GemmRunner runner(s.device);
    std::vector<Subject> mixed;
    for (const std::int64_t n : {1536, 576, 4096}) {
        const GemmCase c{{4096, n, 7168, Precision::fp8_block, false}, 0, false};
        const auto algorithms = runner.algorithms(c, 1);
        if (algorithms.empty()) continue;
        mixed.push_back(loop[mixed.size()]);
        mixed.push_back(runner.subject(c, algorithms[0]));
    }
    run(s, "memory-bound kernels and FP8 GEMMs in turn", mixed);
    run_graph(s, "memory-bound kernels", loop);
    run_graph(s, "kernels of 128 tokens", decode_loop(s, runner));
}

}  // namespace orrery::calibrate
