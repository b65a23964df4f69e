#include <fmt/format.h>

#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/memory_ops.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {

void measure_memory_case(const Session& s, const MemoryCase& c, const std::string& name,
                         const std::vector<Cache>& caches) {
    const Table table{name,
                      {"kind", "rows", "columns", "sm", "cache", "clock", "bytes", "time_us",
                       "GBps", "n_samples", "spread", "clock_MHz", "event_us", "kernels_per_call"},
                      6,
                      {}};
    for (const Cache cache : caches) {
        Row row{std::string(to_string(c.kind)),
                double(c.rows),
                double(c.columns),
                double(s.device.info().sms),
                std::string(cache == Cache::rotating ? "rotating" : "flushed"),
                std::string("burst")};
        if (s.journal.has(name, row)) continue;
        const Series r = s.bench.burst(memory_subject(s.device, c), s.rule, cache);
        const double bytes = memory_bytes(c);
        row.insert(row.end(),
                   {bytes, r.time_us.median, bytes / r.time_us.median * 1e-3, double(r.time_us.n),
                    r.time_us.spread, r.clock_mhz, r.event_us.median, r.kernels_per_call});
        s.journal.add(table, row);
        s.progress(fmt::format("{}{}: {:.1f} us, {:.0f} GB/s", describe(c),
                               cache == Cache::flushed ? " flushed" : "", r.time_us.median,
                               bytes / r.time_us.median * 1e-3));
    }
}

void measure_memory(const Session& s) {
    for (const MemoryCase& c : memory_training_shapes()) measure_memory_case(s, c, "memory");
    for (const MemoryCase& c : memory_size_sweep()) measure_memory_case(s, c, "memory_sizes");
    for (const MemoryCase& c : memory_floor()) measure_memory_case(s, c, "memory_sizes");
}

void measure_missing(const Session& s, const MissingShapes& shapes) {
    // A shape that a kernel does not take costs its own row only.
    const auto attempt = [&](const auto& measure) {
        try {
            measure();
        } catch (const InputError& e) {
            s.progress(fmt::format("not measured: {}", e.what()));
        }
    };
    GemmRunner runner(s.device);
    for (const GemmCase& c : shapes.gemms)
        attempt([&] { measure_gemm_case(s, runner, c, "gemm"); });
    for (const GroupedCase& c : shapes.grouped)
        attempt([&] { measure_grouped_case(s, c, "grouped_gemm"); });
    for (const Attention& a : shapes.attention)
        attempt([&] { measure_attention_cases(s, {a}, "attention"); });
    for (const Attention& a : shapes.decode)
        attempt([&] { measure_decode_cases(s, {a}, "attention_decode"); });
    for (const MemoryCase& c : shapes.memory) attempt([&] { measure_memory_case(s, c, "memory"); });
    for (const std::string& what : shapes.without_kernel)
        s.progress(fmt::format("not measured: {}: no kernel", what));
}

}  // namespace orrery::calibrate
