// orrery-closed-loop: runs one DeepSeek-V3 MoE layer as the simulator's program says and writes
// down what it took. orrery-closed-loop-compare sets that beside the simulator's replay.

#include <ctime>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "calibrate/closed_loop/gpu/loop_timing.hpp"
#include "calibrate/closed_loop/measured_loop.hpp"
#include "calibrate/gpu/check.hpp"
#include "calibrate/results.hpp"
#include "core/error.hpp"
#include "model/read_config.hpp"

namespace {

using namespace orrery;
using namespace orrery::calibrate;
using namespace orrery::closed_loop;

struct Options {
    std::string out, profiles = "hw_profiles", cluster = "h800_ib_2048",
                     model = "scenarios/models/deepseek_v3.json";
    int device = 0, rounds = 9;
    double sustained_seconds = 4.5;  // as calibration runs a layer's mix
    Allowed allowed;
};

std::string today() {
    const std::time_t now = std::time(nullptr);
    char text[16] = {};
    std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
    return text;
}

Heading heading(const DeviceInfo& d, const std::string& command) {
    return {
        {"device", fmt::format("{} ({} SMs, {:.0f} W)", d.name, d.sms, d.power_limit_w)},
        {"date", today()},
        {"driver", d.driver},
        {"cuda", d.cuda},
        {"library", fmt::format("cuBLASLt {}, {}", cublasLtGetVersion(), cudnn_version())},
        {"timer",
         "walls: CUDA events around the whole program, no profiler; burst after 120 ms of rest, "
         "sustained the last 40 % of continuous rounds. operators: CUPTI kernel times in rounds "
         "of their own, medians; step_us from the end of the operator before; alone_us by "
         "itself, L2 full of other lines yet to be written back"},
        {"command", command},
        {"commit", ORRERY_COMMIT}};
}

struct Log {
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
    void line(const std::string& text) const {
        const std::chrono::duration<double> t = std::chrono::steady_clock::now() - begin;
        std::cout << fmt::format("{:6.2f} s  {}", t.count(), text) << std::endl;
    }
};

void add_wall(Table& table, const std::string& run, const char* clock, const Walls& walls,
              const std::vector<double>& us) {
    const Summary s = summarize(us);
    table.rows.push_back({run, std::string(clock), s.median, double(s.n), s.spread, s.low, s.high,
                          walls.clock_mhz, walls.power_w});
}
void add_walls(Table& table, const Round& round, const char* clock, const Walls& walls) {
    for (std::size_t part = 0; part < round.size(); ++part) {
        std::vector<double> us;
        for (const auto& parts : walls.parts_us) us.push_back(parts[part]);
        add_wall(table, to_string(round[part]->program().run), clock, walls, us);
    }
    if (round.size() > 1) add_wall(table, "F+B+W", clock, walls, walls.total_us);
}

void add_operators(Table& table, const LoopRunner& runner, const RunTimes& burst,
                   const RunTimes& sustained, const std::vector<std::vector<double>>& alone) {
    const auto median = [](const std::vector<double>& v) { return summarize(v).median; };
    for (const Stream s : {Stream::compute, Stream::communication}) {
        const std::size_t at = s == Stream::compute ? 0 : 1;
        for (std::size_t i = 0; i < runner.steps(s).size(); ++i) {
            const Step& step = runner.steps(s)[i];
            const StepTimes &b = burst[at][i], &c = sustained[at][i];
            table.rows.push_back(
                {std::string(to_string(runner.program().run)), double(at), double(step.instruction),
                 double(step.operation), std::string(step.op->name),
                 std::string(to_string(class_of(*step.op))), double(step.kernels), alone[at][i],
                 median(b.kernel_us), median(b.step_us), median(c.kernel_us), median(c.step_us)});
        }
    }
}

int run(const Options& o, const std::string& command) {
    if (o.out.empty()) throw InputError("--out FILE is required");
    const ModelSpec model = load_model(o.model);
    const CommunicationCost cost(load_cluster(o.cluster, o.profiles));
    std::vector<LayerProgram> programs;
    for (const LoopRun r : kLoopRuns) programs.push_back(layer_program(model, r));
    const Log log;
    Device device(o.device, o.allowed);
    device.allocate_arena();
    NamedBuffers buffers;
    LayerKernels kernels(device, buffers);
    CommunicationBuffers communication(device);
    std::vector<std::unique_ptr<LoopRunner>> runners;
    const auto build = [&] {
        runners.clear();
        for (const LayerProgram& p : programs)
            runners.push_back(
                std::make_unique<LoopRunner>(device, kernels, p, &communication, &cost));
    };
    log.line("choosing kernels");
    build();  // states what the buffers hold
    buffers.allocate(device.stream());
    build();
    for (const std::string& line : kernels.choices()) log.line(line);
    log.line(fmt::format("{:.1f} GB of operands", double(buffers.bytes()) * 1e-9));
    const std::vector<Round> rounds = {{runners[0].get(), runners[1].get(), runners[2].get()},
                                       {runners[3].get()}};
    Table walls = wall_table(), operators = operator_table(), moved = communication_table();
    for (const Round& round : rounds) {
        const Walls burst = burst_walls(device, round, o.rounds);
        add_walls(walls, round, "burst", burst);
        const Walls sustained = sustained_walls(device, round, o.sustained_seconds);
        add_walls(walls, round, "sustained", sustained);
        log.line(fmt::format("burst {:.1f} us, sustained {:.1f} us",
                             summarize(burst.total_us).median,
                             summarize(sustained.total_us).median));
    }
    for (std::size_t i = 0; i < programs[3].collectives.size(); ++i) {
        const CommunicationTask task = communication_task(programs[3].collectives[i], cost);
        moved.rows.push_back({std::string(programs[3].collectives[i].name), task.time.value() * 1e6,
                              task.traffic.value() * 1e-9, communication.achieved(int(i))});
    }
    KernelTimer timer;
    for (const auto& runner : runners) runner->count_kernels(timer);
    log.line("kernels counted");
    for (const Round& round : rounds) {
        const auto burst = burst_times(device, timer, round, o.rounds);
        const auto sustained = sustained_times(device, timer, round, o.sustained_seconds);
        for (std::size_t r = 0; r < round.size(); ++r)
            add_operators(operators, *round[r], burst[r], sustained[r],
                          alone_times(device, timer, *round[r]));
    }
    for (const char* name : {"attention.o", "attention.dq", "q_a_proj.y", "experts_gate_up_proj.y",
                             "experts_gate_up_proj.dx", "attention_norm.dx"}) {
        const double bad = buffers.not_finite(name);
        if (bad > 0) log.line(fmt::format("{}: {:.2g} of its values are not finite", name, bad));
    }
    write_file(o.out, results_json(results_of(heading(device.info(), command),
                                              {walls, operators, moved}, o.out)));
    log.line("written");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Runs one MoE layer on this machine's GPU as the simulator's program says."};
    Options o;
    app.add_option("--out", o.out, "results file");
    app.add_option("--profiles", o.profiles, "directory of hardware profiles");
    app.add_option("--cluster", o.cluster, "whose expert all-to-all stands beside the pair");
    app.add_option("--model", o.model, "DeepSeek-V3's config.json");
    app.add_option("--device", o.device, "CUDA device number");
    app.add_option("--rounds", o.rounds, "rounds of a burst")->check(CLI::Range(1, 100));
    app.add_option("--sustained-seconds", o.sustained_seconds, "length of one sustained run");
    app.add_flag("--allow-busy", o.allowed.busy, "measure although the GPU is in use");
    app.add_flag("--allow-throttled", o.allowed.throttled,
                 "measure although the GPU's clocks are lowered");
    CLI11_PARSE(app, argc, argv);
    std::string command = "orrery-closed-loop";
    for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
    try {
        return run(o, command);
    } catch (const std::exception& e) {
        std::cerr << "orrery-closed-loop: " << e.what() << "\n";
        return 2;
    }
}
