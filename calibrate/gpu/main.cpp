// orrery-calibrate: measures what the simulator asks of an accelerator, and writes its profile.

#include <chrono>
#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "calibrate/calibration.hpp"
#include "calibrate/profile_writer.hpp"
#include "core/error.hpp"

namespace {

namespace fs = std::filesystem;
using namespace orrery;
using namespace orrery::calibrate;

struct Options {
    std::string out, measured, missing;
    std::vector<std::string> only, from;
    bool list = false, quiet = false, verbose = false;
    RunRequest run;
};

// my_gpu.json -> my_gpu.measured.json
fs::path measured_file(const Options& o) {
    if (!o.measured.empty()) return o.measured;
    return fs::path(o.out).replace_extension(".measured.json");
}

// Progress on stderr: a line that replaces itself on a terminal, else a line a family; every row
// with --verbose.
class Console {
  public:
    Console(const Options& o, const std::vector<FamilyPlan>& families)
        : options_(o),
          live_(!o.quiet && !o.verbose && isatty(STDERR_FILENO) != 0),
          progress_(families),
          planned_(!families.empty()) {}
    void end() {
        if (live_) std::cerr << "\r\033[K" << std::flush;
    }
    void begin(std::size_t family) {
        progress_.begin(family, seconds());
        if (!options_.quiet && !live_) std::cerr << progress_.line(seconds()) << std::endl;
    }
    void row(const std::string& text) {
        const std::string head = planned_ ? progress_.line(seconds()) + "  " : "";
        if (live_)
            std::cerr << "\r\033[K" << (head + text).substr(0, 110) << std::flush;
        else if (options_.verbose)
            std::cerr << text << std::endl;
    }
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    const Options& options_;
    bool live_;
    Progress progress_;
    bool planned_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void tell(const Options& o, const std::string& line) {
    if (!o.quiet) std::cout << line << std::endl;
}

// The run's rows into what the file holds already.
void keep(const Options& o, const Results& run) {
    const fs::path file = measured_file(o);
    Results all;
    if (fs::exists(file)) all = read_results(file);
    merge(all, run);
    write_file(file, results_json(all));
    tell(o, fmt::format("wrote {}", file.string()));
}

// --from: measurements to a profile, without a GPU.
void convert(const Options& o) {
    Results all;
    for (const std::string& file : o.from) merge(all, read_results(file));
    write_profile(all, o.out);
    tell(o, fmt::format("wrote {}", o.out));
}

void measure(Options& o) {
    o.run.results = o.run.held_out ? fs::path(o.out) : measured_file(o);
    if (o.run.held_out)
        o.run.held_out_classes = o.only;
    else if (!o.missing.empty())
        o.run.missing = read_missing(o.missing);
    else
        o.run.families = chosen_families(o.only);
    Console console(o, o.run.families);
    o.run.begin_family = [&](std::size_t k) { console.begin(k); };
    o.run.progress = [&](const std::string& row) { console.row(row); };
    run_calibration(o.run, [&](const Results& run) {
        console.end();
        tell(o, fmt::format("{}: measured in {}", run.heading_of("device"),
                            minutes(console.seconds())));
        if (o.run.held_out)
            write_file(o.out, results_json(run));  // compared with prices: no part of a profile
        else
            keep(o, run);
    });
    if (o.run.held_out) return;
    try {
        write_profile(read_results(measured_file(o)), o.out);
    } catch (const InputError& e) {
        // Some families alone make no profile; what was asked for is measured and kept.
        if (o.only.empty() || fs::exists(o.out)) throw;
        tell(o, e.what());
        return;
    }
    tell(o, fmt::format("wrote {} (orrery profile {})", o.out, o.out));
}

void run(Options& o) {
    if (o.list) {
        std::cout << family_list();
        return;
    }
    if (o.out.empty()) throw InputError("--out FILE: is needed");
    if (o.from.empty())
        measure(o);
    else
        convert(o);
}

void add_options(CLI::App& app, Options& o) {
    app.add_option("--out", o.out,
                   "profile to write; what exists of it is merged (hw_profiles/my_gpu.json is then "
                   "accelerator my_gpu)")
        ->type_name("FILE");
    app.add_option("--measured", o.measured,
                   "file of the raw tables (default: FILE.measured.json beside the profile)")
        ->type_name("FILE");
    app.add_option("--only", o.only, "families or groups to measure (--list)")
        ->delimiter(',')
        ->type_name("NAME,...");
    app.add_option("--missing", o.missing,
                   "measure just the shapes in this file, which orrery run --missing-shapes writes")
        ->type_name("FILE");
    app.add_option("--from", o.from, "no measuring: the profile of these measured files")
        ->type_name("FILE");
    app.add_option("--held-out", o.run.held_out,
                   "measure only shapes drawn from this seed into --out, for orrery operator check")
        ->type_name("SEED");
    app.add_option("--device", o.run.device, "CUDA device number")->type_name("N");
    app.add_option("--sustained-seconds", o.run.sustained_seconds, "length of one sustained run")
        ->type_name("S");
    app.add_flag("--list", o.list, "print the families, what they take and give, and end");
    app.add_flag("--allow-busy", o.run.allowed.busy, "measure although the GPU is in use");
    app.add_flag("--allow-throttled", o.run.allowed.throttled,
                 "measure although the GPU is slowed down or capped");
    app.add_flag("--quiet", o.quiet, "print nothing but errors");
    app.add_flag("--verbose", o.verbose, "print every row measured");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Measures this machine's GPU for Orrery and writes its profile."};
    Options o;
    add_options(app, o);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& e) {
        std::cerr << "error: " << e.what() << "\n";
        return 2;
    }
    o.run.command = "orrery-calibrate";
    for (int i = 1; i < argc; ++i) o.run.command += std::string(" ") + argv[i];
    try {
        run(o);
    } catch (const std::exception& e) {
        std::cerr << "error: " << e.what() << "\n";
        return 2;
    }
    return 0;
}
