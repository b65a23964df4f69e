#include "serving/service_promise.hpp"

#include <tuple>

#include <fmt/format.h>

#include "core/unit_text.hpp"

namespace orrery {
namespace {

const DurationSketch& sketch_of(const ServingResult& result, ServiceTime time) {
    switch (time) {
        case ServiceTime::ttft:
            return result.ttft;
        case ServiceTime::tpot:
            return result.tpot;
        case ServiceTime::itl:
            return result.itl;
        case ServiceTime::e2e:
            break;
    }
    return result.e2e;
}

// "ttft_p99 3.100 s, must be 2.000 s (+55 %)".
std::string beyond(const std::string& name, Seconds value, Seconds most) {
    return fmt::format("{} {}, must be {} ({:+.0f} %)", name, to_text(value, 4), to_text(most, 4),
                       100 * (value.value() / most.value() - 1));
}

// Objectives that too many requests missed: each time where the share that must keep it ends.
std::string objectives_missed(const ServicePromise& promise, const ServingResult& result) {
    const ServiceLevel& each = promise.objectives;
    std::string text;
    for (const auto& [name, time, most] : {std::tuple("ttft", ServiceTime::ttft, each.ttft),
                                           std::tuple("tpot", ServiceTime::tpot, each.tpot),
                                           std::tuple("e2e", ServiceTime::e2e, each.e2e)}) {
        const Seconds value = sketch_of(result, time).percentile(promise.attainment);
        if (most.ps == 0 || value <= to_seconds(most)) continue;
        text += fmt::format("{}{}", text.empty() ? ": " : ", ",
                            beyond(fmt::format("{} of {:g} %", name, 100 * promise.attainment),
                                   value, to_seconds(most)));
    }
    return text.empty() ? ": of those that ended enough kept each time, but not all times" : text;
}

}  // namespace

const std::vector<ServiceTarget>& service_targets() {
    static const std::vector<ServiceTarget> all = [] {
        std::vector<ServiceTarget> targets;
        for (const auto& [name, time] :
             {std::pair("ttft", ServiceTime::ttft), std::pair("tpot", ServiceTime::tpot),
              std::pair("itl", ServiceTime::itl), std::pair("e2e", ServiceTime::e2e)}) {
            for (const auto& [suffix, fraction] : {std::pair("mean", 0.0), std::pair("p50", 0.5),
                                                   std::pair("p90", 0.9), std::pair("p99", 0.99)}) {
                targets.push_back({time, fraction, {}, fmt::format("{}_{}", name, suffix)});
            }
        }
        return targets;
    }();
    return all;
}

double attained(const ServingResult& result) {
    return result.arrived == 0
               ? 1
               : static_cast<double>(result.good) / static_cast<double>(result.arrived);
}

std::vector<std::string> shortfalls(const ServicePromise& promise, const ServingResult& result) {
    std::vector<std::string> missed;
    if (result.verdict != Verdict::stable) {
        missed.push_back(fmt::format("{}: {}", to_string(result.verdict), result.verdict_reason));
    }
    const double share = attained(result);
    if (share < promise.attainment) {
        missed.push_back(promise.has_objectives()
                             ? fmt::format("{:.2f} % were within the objectives, must be {:g} %{}",
                                           100 * share, 100 * promise.attainment,
                                           objectives_missed(promise, result))
                             : fmt::format("{:.2f} % ended, must be {:g} %", 100 * share,
                                           100 * promise.attainment));
    }
    for (const ServiceTarget& target : promise.targets) {
        const DurationSketch& sketch = sketch_of(result, target.time);
        const Seconds value =
            target.fraction > 0 ? sketch.percentile(target.fraction) : sketch.mean();
        const Seconds most = to_seconds(target.most);
        if (value <= most) continue;
        missed.push_back(beyond(target.name, value, most));
    }
    return missed;
}

}  // namespace orrery
