// The main job's training step: folded, with all 2,048 ranks, with drawn routing, on shared links,
// and eight times as large; events and operators per second.

#include <sys/resource.h>

#include "child.hpp"
#include "perf.hpp"
#include "study/run.hpp"

namespace orrery::perf {
namespace {

RunResult run_step(const std::vector<std::string>& sets) {
    const Scenario scenario =
        load_scenario(ORRERY_SOURCE_DIR "/scenarios/training/deepseek_v3_h800_2048.json", sets);
    return run_scenario(scenario, {.profiles = ORRERY_SOURCE_DIR "/hw_profiles"}).result;
}
const std::vector<std::string> kUnfolded = {"run.fold=none"};
const std::vector<std::string> kDrawn = {"network.expert_all_to_all=counted_tokens",
                                         "routing.kind=drawn"};
const std::vector<std::string> kShared = {"network.expert_all_to_all=counted_tokens",
                                          "network.links=shared"};
// 16,384 GPUs: eight times the data-parallel ranks, as many micro-batches for each.
const std::vector<std::string> kEightfold = {"cluster.nodes=2048", "train.sequences=122880"};

Prepare step(std::vector<std::string> sets, double (*amount)(const RunResult&)) {
    return [=]() -> Repetition { return [=] { return amount(run_step(sets)); }; };
}
double once(const RunResult&) { return 1.0; }
double events(const RunResult& r) { return static_cast<double>(r.events); }
double operators(const RunResult& r) { return static_cast<double>(r.operators); }
double peak_bytes(const RunResult&) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) * 1024.0;
}

// From the scenario file to the answer, profiles and lowering included.
const Register folded({.name = "DeepSeek-V3 step, folded",
                       .unit = "step",
                       .subject = step({}, once),
                       .twin = step(kUnfolded, once),
                       .twin_name = "unfolded",
                       .aim = 0.1,
                       .figure = Figure::time,
                       .repetitions = 3});
const Register all_ranks({.name = "DeepSeek-V3 step, all 2,048 ranks",
                          .unit = "step",
                          .subject = step(kUnfolded, once),
                          .aim = 10,
                          .figure = Figure::time,
                          .repetitions = 3});
const Register event_rate({.name = "whole replay, all 2,048 ranks, events",
                           .unit = "events",
                           .subject = step(kUnfolded, events),
                           .aim = 10e6,
                           .repetitions = 3});
const Register operator_rate({.name = "whole replay, all 2,048 ranks, operators",
                              .unit = "operators",
                              .subject = step(kUnfolded, operators),
                              .aim = 10e6,
                              .repetitions = 3});
const Register memory({.name = "peak memory with all 2,048 ranks",
                       .unit = "B",
                       .subject = step(kUnfolded, peak_bytes),
                       .aim = 2e9,
                       .figure = Figure::amount,
                       .repetitions = 1});

const Register drawn({.name = "DeepSeek-V3 step, drawn routing, all 2,048 ranks",
                      .unit = "step",
                      .subject = step(kDrawn, once),
                      .aim = 20,
                      .figure = Figure::time,
                      .repetitions = 1});
const Register shared({.name = "DeepSeek-V3 step, shared links, folded",
                       .unit = "step",
                       .subject = step(kShared, once),
                       .aim = 2,
                       .figure = Figure::time,
                       .repetitions = 1});
const Register large({.name = "DeepSeek-V3 step on 16,384 GPUs, folded",
                      .unit = "step",
                      .subject = step(kEightfold, once),
                      .aim = 1,
                      .figure = Figure::time,
                      .repetitions = 3});
const Register large_memory(
    {.name = "its peak memory, in a process of its own",
     .unit = "B",
     .subject = []() -> Repetition {
         return
             [] { return measure_in_child([] { return once(run_step(kEightfold)); }).peak_bytes; };
     },
     .aim = 0.5e9,
     .figure = Figure::amount,
     .repetitions = 1});

}  // namespace
}  // namespace orrery::perf
