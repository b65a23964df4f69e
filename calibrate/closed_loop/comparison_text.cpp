#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "calibrate/closed_loop/comparison.hpp"

namespace orrery::closed_loop {
namespace {

double percent(double predicted, double measured) {
    return measured > 0 ? 100 * (predicted / measured - 1) : 0;
}

std::string walls(const std::vector<RunComparison>& runs) {
    std::string out =
        "| run | clock | measured us | predicted us | error | from this card | kernels: "
        "measured, predicted us | idle: measured, predicted us | SM clock, power |\n"
        "|---|---|---|---|---|---|---|---|---|\n";
    for (const RunComparison& r : runs) {
        out += fmt::format(
            "| {} | {} | {:.1f} (+-{:.2f} %) | {:.1f} | {:+.1f} % | {} | {:.1f}, {:.1f} | {:.1f}, "
            "{:.1f} | {:.0f} MHz{} |\n",
            r.run, r.clock, r.measured_us, 100 * r.spread, r.predicted_us, 100 * r.error(),
            r.from_card_us > 0 ? fmt::format("{:+.1f} %", 100 * r.from_card_error()) : "",
            r.measured_kernels_us, r.predicted_kernels_us, r.measured_us - r.measured_kernels_us,
            r.predicted_us - r.predicted_kernels_us, r.clock_mhz,
            r.power_w > 0 ? fmt::format(", {:.0f} W", r.power_w) : "");
    }
    return out;
}

bool shown(const RunComparison& r) { return r.run == "F+B+W" || r.run == "F&B"; }

std::string classes(const std::vector<RunComparison>& runs) {
    std::string out =
        "| run | clock | class | measured us | predicted us | error | alone on this card, us |\n"
        "|---|---|---|---|---|---|---|\n";
    for (const RunComparison& r : runs) {
        if (!shown(r)) continue;
        std::map<std::string, OperatorComparison> sums;
        for (const OperatorComparison& o : r.operators) {
            OperatorComparison& sum = sums[o.operator_class];
            sum.measured_us += o.measured_us;
            sum.predicted_us += o.predicted_us;
            sum.alone_us += o.alone_us;
        }
        for (const auto& [name, s] : sums) {
            out += fmt::format("| {} | {} | {} | {:.1f} | {:.1f} | {:+.1f} % | {} |\n", r.run,
                               r.clock, name, s.measured_us, s.predicted_us,
                               percent(s.predicted_us, s.measured_us),
                               s.alone_us > 0 ? fmt::format("{:.1f}", s.alone_us) : "");
        }
    }
    return out;
}

std::string operators(const std::vector<RunComparison>& runs) {
    constexpr std::size_t kShown = 16;
    std::string out =
        "| run | clock | operator | times | measured us | predicted us | error | share of the wall "
        "| alone on this card, us |\n|---|---|---|---|---|---|---|---|---|\n";
    for (const RunComparison& r : runs) {
        if (!shown(r)) continue;
        std::vector<OperatorComparison> sorted = r.operators;
        const auto miss = [](const OperatorComparison& o) {
            return std::fabs(o.predicted_us - o.measured_us);
        };
        std::stable_sort(sorted.begin(), sorted.end(),
                         [&](const auto& a, const auto& b) { return miss(a) > miss(b); });
        sorted.resize(std::min(sorted.size(), kShown));
        for (const OperatorComparison& o : sorted) {
            out += fmt::format(
                "| {} | {} | {} | {} | {:.1f} | {:.1f} | {:+.1f} % | {:+.2f} % | {:.1f} |\n", o.run,
                r.clock, o.name, o.times, o.measured_us, o.predicted_us,
                percent(o.predicted_us, o.measured_us),
                100 * (o.predicted_us - o.measured_us) / r.measured_us, o.alone_us);
        }
    }
    return out;
}

}  // namespace

std::string comparison_text(const MeasuredLoop& measured, const std::string& profile,
                            const std::vector<RunComparison>& runs) {
    std::string out = fmt::format(
        "# Closed loop: one MoE layer run and replayed\n\n"
        "One DeepSeek-V3 MoE layer, 4,096 tokens, 32,768 rows over 4 local experts, run as the "
        "simulator's program says\n(`orrery-closed-loop`), beside the replay of the same program. "
        "F, B, W: its passes one after the other on all SMs. F&B:\nforward and backward woven as "
        "DualPipe does, GEMMs on 112 SMs, a communication stand-in on 20 for the time and at\nthe "
        "memory traffic of the simulator's dispatch and combine.\n\n"
        "{}, driver {}, {}, {}, commit {}; prices of profile {}. Nothing is fitted to these "
        "figures.\n\n"
        "Burst: a round after 120 ms of rest. Sustained: rounds without a pause for 4.5 s, the "
        "last "
        "40 %. Walls: CUDA events,\nno profiler. Kernels: CUPTI, in other rounds than the walls, "
        "so "
        "that idle time, wall less kernels, is only as good as\ntwo rounds are alike. "
        "\"This card\": every price replaced by what the same kernel took alone in the same "
        "process, L2\nfull of other lines; what is left is the error of putting operators "
        "together.\n\n",
        measured.device, measured.driver, measured.library, measured.date, measured.commit,
        profile);
    out += walls(runs);
    out += "\nCommunication beside the pair:\n\n| | given | moved |\n|---|---|---|\n";
    for (const MeasuredCommunication& c : measured.communications) {
        out += fmt::format("| {} | {:.1f} us, {:.1f} GB/s | {:.1f} GB/s |\n", c.name, c.given_us,
                           c.given_gbps, c.achieved_gbps);
    }
    return out + "\nKernel time by class:\n\n" + classes(runs) + "\nOperators that miss most:\n\n" +
           operators(runs);
}

}  // namespace orrery::closed_loop
