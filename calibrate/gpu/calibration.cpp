#include "calibrate/calibration.hpp"

#include <ctime>
#include <map>
#include <set>

#include <fmt/format.h>

#include "calibrate/gpu/cudnn_attention.hpp"
#include "calibrate/gpu/families.hpp"
#include "calibrate/profile_scalars.hpp"
#include "core/error.hpp"

namespace orrery::calibrate {
namespace {

using Measure = std::function<void(const Session&)>;

// What measures each family of all_families().
std::map<std::string, Measure> measures(double sustained_seconds) {
    return {{"placement", measure_placement},
            {"gemm", measure_gemm},
            {"gemm_grid", measure_gemm_grid},
            {"grouped_gemm", measure_grouped_gemm},
            {"attention", measure_attention},
            {"attention_decode", measure_attention_decode},
            {"memory", measure_memory},
            {"scatter", measure_scatter},
            {"copy", measure_copy},
            {"collectives", measure_collectives},
            {"expert_all_to_all", measure_expert_all_to_all},
            {"launch_gap", measure_launch_gap},
            {"mechanism", measure_contention_mechanism},
            {"contention", measure_contention},
            {"sustained",
             [sustained_seconds](const Session& s) { measure_sustained(s, sustained_seconds); }},
            {"between_gpus", [sustained_seconds](const Session& s) {
                 measure_between_gpus(s, sustained_seconds);
             }}};
}

std::string today() {
    const std::time_t now = std::time(nullptr);
    char text[16] = {};
    std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
    return text;
}

Heading heading(const DeviceInfo& d, const std::string& command) {
    return {{"device", fmt::format("{} ({} SMs, {:.0f} W)", d.name, d.sms, d.power_limit_w)},
            {"date", today()},
            {"driver", d.driver},
            {"cuda", d.cuda},
            {"library", fmt::format("cuBLASLt {}{}{}", cublasLtGetVersion(),
                                    cudnn_version().empty() ? "" : ", ", cudnn_version())},
            {"timer",
             "CUPTI Activity API: sum of the kernel durations of one call, median; event_us is "
             "CUDA events around the same calls; clock_MHz is the SM clock read by probe kernels "
             "before and after each call; spread is half the median's 95 % interval over the "
             "median"},
            {"command", command},
            {"commit", ORRERY_COMMIT}};
}

// What the driver says of the device, as rows of the results.
void note_device(const Session& s) {
    const DeviceInfo& d = s.device.info();
    const Table table =
        device_table({d.name, d.major, d.minor, double(d.sms), double(d.memory_bytes),
                      d.highest_clock_mhz, d.memory_clock_mhz, double(d.memory_bus_bits)});
    for (const Row& row : table.rows)
        if (!s.journal.has(table.name, {row[0]})) s.journal.add(table, row);
}

void measure_families(const RunRequest& request, const Session& session) {
    const auto known = measures(request.sustained_seconds);
    for (std::size_t k = 0; k < request.families.size(); ++k) {
        request.begin_family(k);
        known.at(request.families[k].name)(session);
    }
}

}  // namespace

void run_calibration(const RunRequest& request, const Keep& keep) {
    Device device(request.device, request.allowed);
    Journal journal(request.results, device.info().name);
    device.allocate_arena();
    Bench bench(device);
    const Session session{device, bench, journal, {}, request.progress};
    if (journal.rows_read() > 0)
        request.progress(fmt::format("resuming: {} rows read", journal.rows_read()));
    note_device(session);
    if (request.missing) {
        measure_missing(session, *request.missing);
    } else if (request.held_out) {
        measure_held_out(session, *request.held_out,
                         {request.held_out_classes.begin(), request.held_out_classes.end()});
    } else {
        measure_families(request, session);
    }
    keep(results_of(heading(device.info(), request.command), journal.tables(),
                    request.results.string()));
    journal.finish();
}

}  // namespace orrery::calibrate
