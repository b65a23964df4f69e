// CPU time of a request: the chat case on which Vidur simulates 1,203 requests a CPU second (and
// 42 k events), and a million requests on 22 nodes. CPU time, because that figure is.

#include <ctime>

#include "child.hpp"
#include "perf.hpp"
#include "study/serving_scenario.hpp"

namespace orrery::perf {
namespace {

constexpr double kVidur = 1203;  // requests a CPU second

ServingScenario open(const std::string& name, const std::vector<std::string>& sets) {
    const Scenario scenario =
        load_scenario(ORRERY_SOURCE_DIR "/scenarios/serving/" + name + ".json", sets);
    return read_serving_scenario(scenario, ORRERY_SOURCE_DIR "/hw_profiles");
}
ServingResult play(const ServingScenario& scenario) {
    return simulate_serving(scenario.deployment, scenario.open_workload());
}

double cpu_now() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// From the gzipped trace to the answer; tables of times are filled by a run before.
struct Linear {
    SimDuration time(const EngineIteration& it) { return own_time(it.slowest, it.prompts); }
    SimDuration own_time(const Iteration& it, bool) {
        return {8'000'000'000 + 80'000'000 * it.prefill_tokens + 100'000'000 * it.decode_sequences};
    }
};
Prepare chat(bool linear) {
    return [linear]() -> Repetition {
        auto scenario = std::make_shared<ServingScenario>(open("llama3_8b_a100_10k", {}));
        static Linear timer;
        if (linear) scenario->deployment.pools[0].timer = AnyTimer(timer);
        play(*scenario);
        return [scenario] {
            const double before = cpu_now();
            const ServingResult result = play(*scenario);
            return 1e6 * (cpu_now() - before) / static_cast<double>(result.finished);
        };
    };
}
// 100 times Vidur's rate is 120,300 requests a CPU second, 8.3 us each.
const Register chat_time({.name = "serving: a chat request on an A100, CPU time",
                          .unit = "us",
                          .subject = chat(false),
                          .aim = 1e6 / (100 * kVidur),
                          .figure = Figure::amount,
                          .repetitions = 7});
const Register chat_events({.name = "serving: the same, iterations priced by a line",
                            .unit = "us",
                            .subject = chat(true),
                            .aim = 1e6 / (100 * kVidur),
                            .figure = Figure::amount,
                            .repetitions = 7});

const std::string kPair = "deepseek_v3_h800_pd";
std::vector<std::string> requests(std::int64_t count) {
    return {"workload.requests=" + std::to_string(count)};
}
double cpu_seconds(std::int64_t count) {
    return measure_in_child(
               [count] { return static_cast<double>(play(open(kPair, requests(count))).finished); })
        .cpu_seconds;
}
double peak_bytes(std::int64_t count) {
    return measure_in_child(
               [count] { return static_cast<double>(play(open(kPair, requests(count))).finished); })
        .peak_bytes;
}
// CPU time from the scenario file to the answer, tables of times included.
const Register million({.name = "serving: 1 M requests on 22 nodes, CPU s",
                        .unit = "s",
                        .subject = []() -> Repetition {
                            return [] { return cpu_seconds(1'000'000); };
                        },
                        .aim = 60,
                        .figure = Figure::amount,
                        .repetitions = 1});
// Memory does not grow with the workload.
const Register memory({.name = "serving: peak memory, 200,000 requests on 22 nodes",
                       .unit = "B",
                       .subject = []() -> Repetition { return [] { return peak_bytes(200'000); }; },
                       .twin = []() -> Repetition { return [] { return peak_bytes(20'000); }; },
                       .twin_name = "20,000",
                       .aim = 200e6,
                       .aim_ratio = 0.9,
                       .figure = Figure::amount,
                       .repetitions = 1});

}  // namespace
}  // namespace orrery::perf
