#include "serving/serving_result.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "core/plural.hpp"

namespace orrery {
namespace {

// Mean of the waiting requests in a part of the time in which requests arrived.
double mean_between(const std::vector<TimeSeries::Point>& points, double begin, double end) {
    double area = 0, time = 0;
    for (const TimeSeries::Point& p : points) {
        const double from = std::max(begin, p.begin.value()), to = std::min(end, p.end.value());
        if (to <= from) continue;
        area += p.mean * (to - from);
        time += to - from;
    }
    return time > 0 ? area / time : 0.0;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::stable:
            return "STABLE";
        case Verdict::backlogged:
            return "BACKLOGGED";
        case Verdict::overloaded:
            return "OVERLOADED";
        case Verdict::failing:
            break;
    }
    return "FAILING";
}

namespace {

using Judgement = std::pair<Verdict, std::string>;

// From requests that never ended well; nullopt where they are too few to say anything.
std::optional<Judgement> judge_losses(const ServingResult& r) {
    if (2 * r.lost > r.arrived) {
        return {{Verdict::failing, fmt::format("{} of {} lost, engines failed {} times", r.lost,
                                               counted(r.arrived, "request"), r.failures)}};
    }
    if (r.rejected_queue_full > 0) {
        return {{Verdict::overloaded, fmt::format("{} turned away: the queue was full",
                                                  counted(r.rejected_queue_full, "request"))}};
    }
    if (2 * r.rejected_too_long > r.arrived) {
        return {
            {Verdict::overloaded, fmt::format("{} of {} turned away: longer than the KV cache",
                                              r.rejected_too_long, counted(r.arrived, "request"))}};
    }
    return std::nullopt;
}

// From the queue. A run cut off has no time after the arrivals to look at.
Judgement judge_queue(const ServingResult& r) {
    const double arrivals = to_seconds(r.last_arrival).value();
    const double drain = to_seconds(r.end).value() - arrivals;
    const double early = mean_between(r.waiting, arrivals * 0.25, arrivals * 0.5);
    const double late = mean_between(r.waiting, arrivals * 0.75, arrivals);
    const double longest = r.e2e.percentile(0.99).value();
    // A queue that grows in proportion to time has means of 3/8 and 7/8 of its end.
    const double noticed = std::max(2.0, 0.1 * r.mean_running);
    const bool drains = !r.cut && drain <= 0.05 * arrivals;
    if (arrivals > 0 && late > 1.8 * early + noticed && !drains) {
        return {Verdict::overloaded,
                fmt::format("{:.1f} requests waited in the second quarter of arrivals, {:.1f} in "
                            "the last",
                            early, late)};
    }
    const std::string means = fmt::format("on average {:.1f} requests waited while {:.1f} ran",
                                          r.mean_waiting, r.mean_running);
    if (r.mean_waiting > std::max(1.0, r.mean_running)) return {Verdict::backlogged, means};
    if (!r.cut && arrivals > 0 && drain > 0.1 * arrivals + 2 * longest) {
        return {Verdict::backlogged,
                fmt::format("{:.0f} s after the last arrival to finish all", drain)};
    }
    return {Verdict::stable, means};
}

}  // namespace

void judge(ServingResult& result) {
    const auto losses = judge_losses(result);
    std::tie(result.verdict, result.verdict_reason) = losses ? *losses : judge_queue(result);
    if (result.cut) {
        result.verdict_reason += fmt::format("; the time limit ended the run with {} under way",
                                             counted(result.unfinished, "request"));
    }
}

}  // namespace orrery
