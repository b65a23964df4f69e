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
        "| run | clock | measured us | predicted us | error | from this card's times | kernels: "
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
        "| run | clock | class | measured us | predicted us | error | alone on this card us |\n"
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
        "| alone on this card us |\n|---|---|---|---|---|---|---|---|---|\n";
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
    std::string out = fmt::format("{}, driver {}, {}, {}; profile {}\n\n", measured.device,
                                  measured.driver, measured.library, measured.date, profile);
    out += walls(runs);
    out += "\nCommunication beside the pair:\n\n| | given | moved |\n|---|---|---|\n";
    for (const MeasuredCommunication& c : measured.communications) {
        out += fmt::format("| {} | {:.1f} us, {:.1f} GB/s | {:.1f} GB/s |\n", c.name, c.given_us,
                           c.given_gbps, c.achieved_gbps);
    }
    return out + "\n" + classes(runs) + "\n" + operators(runs);
}

}  // namespace orrery::closed_loop
