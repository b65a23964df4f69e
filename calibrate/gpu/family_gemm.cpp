#include <fmt/format.h>

#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/gemm.hpp"

namespace orrery::calibrate {
namespace {

// cuBLASLt's kernel names without their common head.
std::string short_name(const std::string& kernel) {
    const std::string head = "nvjet_sm90_";
    return kernel.starts_with(head) ? kernel.substr(head.size()) : kernel.substr(0, 60);
}

}  // namespace

void measure_gemm_case(const Session& s, GemmRunner& runner, const GemmCase& c,
                       const std::string& name) {
    const Table table = gemm_table(name);
    Row row = gemm_key(c, s.device.info().sms);
    if (s.journal.has(name, row)) return;
    const auto algorithms = runner.algorithms(c, 1);
    if (algorithms.empty()) {
        s.progress(describe(c) + ": cuBLASLt has no algorithm");
        return;
    }
    const Series r = s.bench.burst(runner.subject(c, algorithms[0]), s.rule);
    const double flops = 2.0 * double(c.gemm.m) * double(c.gemm.n) * double(c.gemm.k);
    row.insert(row.end(), {r.time_us.median, flops / r.time_us.median * 1e-6, double(r.time_us.n),
                           r.time_us.spread, r.clock_mhz, double(r.dropped), r.event_us.median,
                           r.kernels_per_call, double(algorithms[0].cluster_shape), double(r.ctas),
                           short_name(r.kernel)});
    s.journal.add(table, row);
    s.progress(fmt::format("{}: {:.1f} us, {:.0f} TFLOP/s, n {}, spread {:.2f} %, {:.0f} MHz",
                           describe(c), r.time_us.median, flops / r.time_us.median * 1e-6,
                           r.time_us.n, 100 * r.time_us.spread, r.clock_mhz));
}

Table gemm_table(const std::string& name) {
    return {name,
            {"precision", "output", "accumulate", "m", "n", "k", "sm", "clock", "time_us", "tflops",
             "n_samples", "spread", "clock_MHz", "throttled_dropped", "event_us",
             "kernels_per_call", "cluster_shape_id", "ctas", "kernel"},
            8,
            {}};
}

Row gemm_key(const GemmCase& c, int device_sms) {
    return {std::string(to_string(c.gemm.precision)),
            std::string(c.gemm.accumulate || c.fp32_output ? "fp32" : "bf16"),
            double(c.gemm.accumulate),
            double(c.gemm.m),
            double(c.gemm.n),
            double(c.gemm.k),
            double(c.sms ? c.sms : device_sms),
            std::string("burst")};
}

void measure_gemm(const Session& s) {
    GemmRunner runner(s.device);
    for (const GemmCase& c : gemm_training_shapes()) measure_gemm_case(s, runner, c, "gemm");
}

void measure_gemm_grid(const Session& s) {
    GemmRunner runner(s.device);
    for (const Precision p : {Precision::fp8_block, Precision::bf16, Precision::fp8_tensor}) {
        for (const GemmCase& c : gemm_grid(p)) measure_gemm_case(s, runner, c, "gemm_grid");
    }
}

}  // namespace orrery::calibrate
