#include "serving/serving_result.hpp"

#include <algorithm>

#include <fmt/format.h>

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
            break;
    }
    return "OVERLOADED";
}

void judge(ServingResult& result) {
    const double arrivals = to_seconds(result.last_arrival).value();
    const double drain = to_seconds(result.end).value() - arrivals;
    const double early = mean_between(result.waiting, arrivals * 0.25, arrivals * 0.5);
    const double late = mean_between(result.waiting, arrivals * 0.75, arrivals);
    const double longest = result.e2e.percentile(0.99).value();
    const auto is = [&](Verdict verdict, std::string reason) {
        result.verdict = verdict;
        result.verdict_reason = std::move(reason);
    };
    if (result.rejected_queue_full > 0) {
        return is(Verdict::overloaded, fmt::format("{} requests turned away: the queue was full",
                                                   result.rejected_queue_full));
    }
    if (2 * result.rejected_too_long > result.arrived) {
        return is(Verdict::overloaded,
                  fmt::format("{} of {} requests turned away: longer than the KV cache",
                              result.rejected_too_long, result.arrived));
    }
    if (result.unfinished > 0) {
        return is(Verdict::overloaded,
                  fmt::format("{} requests under way at the time limit", result.unfinished));
    }
    // A queue that grows in proportion to time has means of 3/8 and 7/8 of its end.
    const double noticed = std::max(2.0, 0.1 * result.mean_running);
    if (arrivals > 0 && late > 1.8 * early + noticed && drain > 0.05 * arrivals) {
        return is(Verdict::overloaded,
                  fmt::format("{:.1f} requests waited in the second quarter of arrivals, {:.1f} in "
                              "the last",
                              early, late));
    }
    if (result.mean_waiting > std::max(1.0, result.mean_running)) {
        return is(Verdict::backlogged,
                  fmt::format("on average {:.1f} requests waited while {:.1f} ran",
                              result.mean_waiting, result.mean_running));
    }
    if (arrivals > 0 && drain > 0.1 * arrivals + 2 * longest) {
        return is(Verdict::backlogged,
                  fmt::format("{:.0f} s after the last arrival to finish all", drain));
    }
    is(Verdict::stable, fmt::format("on average {:.1f} requests waited while {:.1f} ran",
                                    result.mean_waiting, result.mean_running));
}

}  // namespace orrery
