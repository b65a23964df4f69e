// orrery-calibrate: measures what the simulator asks of an accelerator and writes it down.

#include <ctime>
#include <iostream>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "calibrate/gpu/check.hpp"
#include "calibrate/gpu/families.hpp"
#include "core/error.hpp"

namespace {

using namespace orrery;
using namespace orrery::calibrate;

struct Family {
    const char* name;
    const char* what;
    std::function<void(const Session&)> measure;
};

struct Options {
    std::string out, missing;
    std::vector<std::string> only;
    int device = 0;
    bool list = false, allow_busy = false, quiet = false;
    double sustained_seconds = 3;
    std::optional<std::uint64_t> held_out;  // seed
};

std::vector<Family> families(const Options& o) {
    return {
        {"placement", "which SMs one thread-block cluster can span", measure_placement},
        {"gemm", "DeepSeek-V3 training GEMMs on all and on 112 SMs", measure_gemm},
        {"grouped_gemm", "FP8 grouped GEMMs of our own: experts, decode, weight gradients",
         measure_grouped_gemm},
        {"attention", "training and prefill attention, forward and backward", measure_attention},
        {"attention_decode", "decode attention over paged caches: absorbed MLA and GQA",
         measure_attention_decode},
        {"memory", "memory-bound kernels, model shapes and 1 MB to 1 GB", measure_memory},
        {"gap", "idle time between kernels of one stream", measure_launch_gap},
        {"mechanism", "GEMM kernels by cluster shape beside a communication kernel",
         measure_contention_mechanism},
        {"contention", "slowdown beside a communication kernel", measure_contention},
        {"grid", "general GEMM grid", measure_gemm_grid},
        {"scatter", "shapes spread evenly: GEMMs, also on fewer SMs, grouped GEMMs, memory",
         measure_scatter},
        {"sustained", "GEMMs and a layer's mix under continuous load",
         [o](const Session& s) { measure_sustained(s, o.sustained_seconds); }}};
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
            {"library", fmt::format("cuBLASLt {}", cublasLtGetVersion())},
            {"timer",
             "CUPTI Activity API: sum of the kernel durations of one call, median; event_us is "
             "CUDA events around the same calls; clock_MHz is the SM clock read by probe kernels "
             "before and after each call; spread is half the median's 95 % interval over the "
             "median"},
            {"command", command},
            {"commit", ORRERY_COMMIT}};
}

int run(const Options& o, const std::string& command) {
    const std::vector<Family> all = families(o);
    if (o.list) {
        for (const Family& f : all) std::cout << fmt::format("{:12} {}\n", f.name, f.what);
        return 0;
    }
    for (const std::string& name : o.held_out ? std::vector<std::string>{} : o.only)
        if (std::none_of(all.begin(), all.end(), [&](const Family& f) { return name == f.name; }))
            throw InputError(fmt::format("--only {}: no such family; see --list", name));
    if (o.out.empty()) throw InputError("--out FILE is required");
    const MissingShapes shapes = o.missing.empty() ? MissingShapes{} : read_missing(o.missing);
    Device device(o.device, o.allow_busy);
    Journal journal(o.out, device.info().name);
    device.allocate_arena();
    Bench bench(device);
    const Session session{device, bench, journal, {}, [&](const std::string& line) {
                              if (!o.quiet) std::cout << line << std::endl;
                          }};
    const auto finish = [&] {
        write_file(o.out, results_json(heading(device.info(), command), o.out, journal.tables()));
        journal.finish();
        return 0;
    };
    if (journal.rows_read() > 0)
        session.progress(fmt::format("resuming: {} rows read", journal.rows_read()));
    if (!o.missing.empty()) {
        measure_missing(session, shapes);
        return finish();
    }
    const std::set<std::string> chosen(o.only.begin(), o.only.end());
    if (o.held_out) {
        measure_held_out(session, *o.held_out, chosen);
        return finish();
    }
    for (const Family& f : all) {
        if (!chosen.empty() && !chosen.contains(f.name)) continue;
        session.progress(fmt::format("== {}", f.name));
        f.measure(session);
    }
    return finish();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Measures this machine's GPU for Orrery."};
    Options o;
    app.add_option("--out", o.out, "results file; FILE.journal beside it lets a run resume");
    app.add_option("--only", o.only, "families to measure")->delimiter(',');
    app.add_option("--missing", o.missing, "measure just the shapes listed in this file");
    app.add_option("--held-out", o.held_out,
                   "measure only shapes drawn from this seed, for orrery operator check");
    app.add_option("--device", o.device, "CUDA device number");
    app.add_option("--sustained-seconds", o.sustained_seconds, "length of one sustained run");
    app.add_flag("--list", o.list, "print the families and end");
    app.add_flag("--allow-busy", o.allow_busy, "measure although the GPU is not idle");
    app.add_flag("--quiet", o.quiet, "no progress");
    CLI11_PARSE(app, argc, argv);
    std::string command = "orrery-calibrate";
    for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
    try {
        return run(o, command);
    } catch (const InputError& e) {
        std::cerr << "orrery-calibrate: " << e.what() << "\n";
        return 2;
    }
}
