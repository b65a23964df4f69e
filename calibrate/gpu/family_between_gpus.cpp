// How one GPU's pace under continuous load differs from moment to moment and from the next GPU's.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "calibrate/gpu/families.hpp"
#include "calibrate/gpu/layer_mix.hpp"

namespace orrery::calibrate {
namespace {

Table between_gpus_table() {
    return {"between_gpus",
            {"gpu", "load", "seconds", "class", "operator", "precision", "m", "n", "k", "sm",
             "time_us", "burst_us", "n_samples", "spread", "clock_MHz", "power_W", "temperature_C"},
            10,
            {}};
}

Table jitter_table() {
    return {"jitter",
            {"gpu", "load", "seconds", "kernels", "window_ms", "windows", "deviation", "p5", "p95",
             "p99", "largest"},
            5,
            {}};
}

// A mix that was run: calls in their order, call i of item i % items.size().
struct MixRun {
    const std::vector<MixItem>& items;
    std::vector<Series> steady;
    std::vector<double> calls_us;
};

// Of windows of the mix, of memory-bound kernels in it or of the others, time over the time that
// the calls in them take by their medians.
std::vector<double> window_ratios(const MixRun& run, double window_us, bool memory) {
    std::vector<double> ratios;
    double taken = 0, usual = 0, all = 0;
    for (std::size_t i = 0; i < run.calls_us.size(); ++i) {
        const std::size_t item = i % run.items.size();
        all += run.steady[item].time_us.median;
        if ((run.items[item].operator_class == "memory") == memory) {
            taken += run.calls_us[i];
            usual += run.steady[item].time_us.median;
        }
        if (all < window_us || usual == 0) continue;
        ratios.push_back(taken / usual);
        taken = usual = all = 0;
    }
    return ratios;
}

double relative_deviation(const std::vector<double>& values) {
    double sum = 0, squares = 0;
    for (const double v : values) sum += v;
    const double mean = sum / double(values.size());
    for (const double v : values) squares += (v - mean) * (v - mean);
    return std::sqrt(squares / double(values.size() - 1)) / mean;
}

// How much the same work takes now and a moment later.
void add_jitter(const Session& s, const std::string& load, double seconds, const MixRun& run) {
    for (const bool memory : {false, true}) {
        for (const double window_ms : {1., 2., 4., 8., 16., 32., 64., 128., 256.}) {
            std::vector<double> ratios = window_ratios(run, 1000 * window_ms, memory);
            if (ratios.size() < 20) break;
            std::sort(ratios.begin(), ratios.end());
            const auto at = [&](double share) {
                return ratios[std::size_t(share * double(ratios.size() - 1))];
            };
            s.journal.add(jitter_table(),
                          {s.device.info().id, load, seconds,
                           std::string(memory ? "memory-bound" : "compute-bound"), window_ms,
                           double(ratios.size()), relative_deviation(ratios), at(0.05), at(0.95),
                           at(0.99), ratios.back()});
        }
    }
}

void run(const Session& s, const std::string& load, double seconds,
         const std::vector<MixItem>& items) {
    const auto start_of_row = [&](const MixItem& i) {
        Row row = mix_key(i, load);
        row.insert(row.begin(), s.device.info().id);
        row.insert(row.begin() + 2, seconds);
        return row;
    };
    if (s.journal.has("between_gpus", start_of_row(items[0]))) return;
    std::vector<Subject> loop;
    std::vector<Series> burst;
    for (const MixItem& i : items) {
        if (i.prepare) i.prepare();
        burst.push_back(s.bench.burst(i.subject, s.rule));
        loop.push_back(i.subject);
    }
    MixRun run{items, {}, {}};
    run.steady = s.bench.sustained(loop, seconds, &run.calls_us);
    add_jitter(s, load, seconds, run);
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Series& steady = run.steady[i];
        Row row = start_of_row(items[i]);
        row.insert(row.end(),
                   {steady.time_us.median, burst[i].time_us.median, double(steady.time_us.n),
                    steady.time_us.spread, steady.clock_mhz, steady.power_w, steady.temperature_c});
        s.journal.add(between_gpus_table(), row);
    }
    s.progress(fmt::format("{} for {:.1f} s: {:.0f} MHz, {:.0f} W, {:.0f} C", load, seconds,
                           run.steady[0].clock_mhz, run.steady[0].power_w,
                           run.steady[0].temperature_c));
}

}  // namespace

// The training mix as long as table sustained's own run of it, and until the GPU is warm.
void measure_between_gpus(const Session& s, double seconds) {
    GemmRunner runner(s.device);
    const std::vector<MixItem> training = layer_mix(s, runner, 0);
    run(s, "layer_mix", 1.5 * seconds, training);
    run(s, "layer_mix", 5 * seconds, training);
    run(s, "decode_mix", 2 * seconds, decode_mix(s, runner));
}

}  // namespace orrery::calibrate
