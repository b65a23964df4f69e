#include "serving/deadline.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {
namespace {

double shorter(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

}  // namespace

std::optional<double> Deadline::first() const {
    const double time = shorter(ttft, e2e);
    return time > 0 ? std::optional(time) : std::nullopt;
}

std::optional<double> Deadline::last(double output) const {
    double time = e2e;
    if (ttft > 0 && tpot > 0) time = shorter(time, ttft + tpot * std::max(0.0, output - 1));
    return time > 0 ? std::optional(time) : std::nullopt;
}

std::vector<Deadline> deadlines(const ServicePromise& promise, std::int64_t requests) {
    const auto n = static_cast<double>(requests);
    const auto not_ended =
        requests - static_cast<std::int64_t>(std::ceil(promise.attainment * n - 1e-9));
    std::vector<Deadline> all;
    const ServiceLevel& each = promise.objectives;
    if (promise.has_objectives()) {
        all.push_back({"slo", to_seconds(each.ttft).value(), to_seconds(each.tpot).value(),
                       to_seconds(each.e2e).value(), not_ended});
    }
    Deadline together{.name = "slo", .misses = not_ended};
    std::size_t joined = 0;
    for (const ServiceTarget& target : promise.targets) {
        Deadline one{.name = "slo." + target.name};
        const double most = to_seconds(target.most).value() * (1 + DurationSketch::kRelativeError);
        double* const time = target.time == ServiceTime::ttft   ? &one.ttft
                             : target.time == ServiceTime::tpot ? &one.tpot
                             : target.time == ServiceTime::e2e  ? &one.e2e
                                                                : nullptr;
        if (time == nullptr) continue;  // distances between tokens bound no request
        *time = target.fraction > 0 ? most : to_seconds(target.most).value();
        const auto above = static_cast<std::int64_t>((1 - target.fraction) * n + 1e-9);
        one.misses = target.fraction > 0 ? std::min(requests, above + not_ended) : requests - 1;
        all.push_back(one);
        if (target.fraction < 0.9) continue;  // most may miss it: of no use beside others
        together.ttft = shorter(together.ttft, one.ttft);
        together.tpot = shorter(together.tpot, one.tpot);
        together.e2e = shorter(together.e2e, one.e2e);
        together.misses = std::min(requests, together.misses + above);
        ++joined;
    }
    if (joined > 1) all.push_back(together);
    return all;
}

}  // namespace orrery
