#include <fmt/format.h>

#include "calibrate/gpu/contention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/layer_mix.hpp"
#include "calibrate/surface.hpp"

namespace orrery::calibrate {
namespace {

Table sustained_table() {
    return {
        "sustained",
        {"load", "class", "operator", "precision", "m", "n", "k", "sm", "time_us", "burst_us",
         "sustained_over_burst", "n_samples", "spread", "clock_MHz", "power_W", "burst_clock_MHz"},
        8,
        {}};
}

// Burst times one by one, then all together without a pause; beside communication where given.
void run(const Session& s, const std::vector<MixItem>& items, const std::string& load,
         double seconds, BackgroundCommunication* communication) {
    if (items.empty() || s.journal.has("sustained", mix_key(items[0], load))) return;
    std::vector<Series> burst;
    std::vector<Subject> loop;
    for (const MixItem& i : items) {
        if (i.prepare) i.prepare();
        burst.push_back(s.bench.burst(i.subject, s.rule));
        loop.push_back(i.subject);
    }
    if (communication && !communication->start({20, 2, true, 100})) return;
    const std::vector<Series> steady = s.bench.sustained(loop, seconds);
    if (communication) communication->stop();
    for (std::size_t i = 0; i < items.size(); ++i) {
        const double ratio = steady[i].time_us.median / burst[i].time_us.median;
        Row row = mix_key(items[i], load);
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
            run(s, gemm_items(s, runner, {gemm_case(q.m, q.n, q.k, p)}), "alone", seconds, nullptr);
    run(s, attention_items(s), "alone", seconds, nullptr);
    run(s, gemm_items(s, runner, {gemm_case(7168, 16384, 4096, Precision::fp8_block, true)}),
        "alone", seconds, nullptr);
    run(s, gemm_items(s, runner, {gemm_case(4096, 7168, 16384, Precision::fp8_block, false, 112)}),
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
