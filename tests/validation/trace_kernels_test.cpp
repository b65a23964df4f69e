// One MoE layer of DeepSeek-V3 beside DeepSeek's own training trace, kernel class by kernel class:
// kernels launched must agree; durations are printed with their error. The trace's sums are
// validation and set nothing. Ours are times on 112 SMs beside no communication, at sustained
// clock.

#include <cstdio>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/config.hpp"
#include "hardware/operator_time.hpp"
#include "model/lowering.hpp"
#include "trace_categories.hpp"

namespace orrery {
namespace {

using test::Cell;
using test::CellKey;

constexpr const char* data_file = "tests/validation/data/deepseek_v3_trace_phases.json";

std::map<CellKey, Cell> traced() {
    const ConfigNode file = ConfigNode::load("tests/validation/data/deepseek_v3_trace_phases.json");
    std::map<CellKey, Cell> cells;
    for (const ConfigNode& row : file.at("rows").elements()) {
        const std::string category = row.at(1).as_string();
        if (category.starts_with("comm_") || category == "misc") continue;
        Cell& cell = cells[{row.at(0).as_string(), test::merged(category)}];
        cell.kernels += row.at(2).as_number();
        cell.microseconds += row.at(3).as_number();
    }
    return cells;
}

double busy_of(const std::string& phase) {
    return ConfigNode::load(data_file).at("phase_busy_us_per_layer").at(phase).as_number();
}

// Kernels that are counted otherwise here: routed weight gradients are two grouped kernels for
// eight, and the traced run adds noise to its router's scores.
double expected_kernels(const CellKey& key, double traced_kernels) {
    if (key == CellKey{"mlp(W)", "gemm_fp8_wgrad"}) return traced_kernels - 6;
    if (key == CellKey{"attn(F)", "elementwise_and_router"}) return traced_kernels - 1;
    return traced_kernels;
}

TEST(TraceKernels, CountsAgreeAndDurationsArePrinted) {
    const OperatorTimeModel times(load_accelerator("h800_sxm5", "hw_profiles"));
    const Conditions conditions{.sms = 112, .clock = Clock::sustained};
    const auto ours = test::lowered_cells(
        [&](const Operator& op) { return times.time(op, conditions).time.value() * 1e6; });
    const auto theirs = traced();
    std::map<std::string, double> phases;
    std::printf("%-12s %-24s %8s %9s %9s %8s\n", "phase", "class", "kernels", "traced us",
                "ours us", "error");
    for (const auto& [key, cell] : theirs) {
        ASSERT_TRUE(ours.contains(key)) << key.first << " " << key.second;
        const Cell& mine = ours.at(key);
        EXPECT_EQ(mine.kernels, expected_kernels(key, cell.kernels)) << key.first << key.second;
        std::printf("%-12s %-24s %8.0f %9.0f %9.0f %+7.1f%%\n", key.first.c_str(),
                    key.second.c_str(), mine.kernels, cell.microseconds, mine.microseconds,
                    100 * (mine.microseconds / cell.microseconds - 1));
        phases[key.first] += mine.microseconds;
    }
    EXPECT_EQ(ours.size(), theirs.size());
    // A phase as a whole: time that any of its kernels ran (routed weight gradients run on two
    // streams at once, so that their kernel times add up to more).
    for (const auto& [phase, microseconds] : phases) {
        if (phase == "combine(B)") continue;  // a cast in front of communication
        const double busy = busy_of(phase);
        std::printf("%-12s %-24s %8s %9.0f %9.0f %+7.1f%%\n", phase.c_str(), "busy", "", busy,
                    microseconds, 100 * (microseconds / busy - 1));
    }
}

}  // namespace
}  // namespace orrery
