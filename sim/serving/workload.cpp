#include "serving/workload.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>

#include <fmt/format.h>

#include "core/error.hpp"
#include "core/random.hpp"

namespace orrery {

double Draws::uniform() {
    return counter_uniform(seed_, stream_, next_++) + 0x1.0p-54;  // never 0
}
double Draws::exponential() { return -std::log(uniform()); }
double Draws::normal() {
    const double radius = std::sqrt(2 * exponential());
    return radius * std::cos(2 * std::numbers::pi * uniform());
}
double Draws::gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(uniform(), 1 / shape);
    const double d = shape - 1.0 / 3.0;
    const double c = 1 / std::sqrt(9 * d);
    while (true) {
        const double x = normal();
        const double v = std::pow(1 + c * x, 3);
        if (v <= 0) continue;
        if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
}
double Draws::weibull(double shape) { return std::pow(exponential(), 1 / shape); }

double draw_distance(const ArrivalProcess& process, Draws& draws) {
    const double mean = 1 / process.rate;
    switch (process.family) {
        case ArrivalFamily::poisson:
            return mean * draws.exponential();
        case ArrivalFamily::gamma:
            return mean / process.shape * draws.gamma(process.shape);
        case ArrivalFamily::weibull:
            return mean / std::tgamma(1 + 1 / process.shape) * draws.weibull(process.shape);
        case ArrivalFamily::fixed:
            break;
    }
    return mean;
}

LengthDistribution fixed_length(std::int64_t tokens) {
    return {.family = LengthFamily::fixed, .low = tokens, .high = tokens};
}

LengthDistribution histogram_length(std::vector<std::pair<std::int64_t, double>> weights,
                                    std::string_view file) {
    double total = 0;
    for (const auto& [tokens, weight] : weights) {
        if (tokens < 0 || !(weight >= 0) || !std::isfinite(weight)) {
            throw InputError(
                fmt::format("{}: a histogram holds {}: {}, must be tokens and a "
                            "weight from 0",
                            file, tokens, weight));
        }
        total += weight;
    }
    if (!(total > 0)) throw InputError(fmt::format("{}: a histogram must have weight", file));
    std::sort(weights.begin(), weights.end());
    double sum = 0;
    for (auto& [tokens, weight] : weights) {
        sum += weight;
        weight = sum / total;
    }
    weights.back().second = 1;
    return {.family = LengthFamily::histogram,
            .low = 1,
            .high = std::max<std::int64_t>(1, weights.back().first),
            .steps = std::move(weights)};
}

std::int64_t draw_length(const LengthDistribution& distribution, Draws& draws) {
    double value = static_cast<double>(distribution.low);
    switch (distribution.family) {
        case LengthFamily::fixed:
            return distribution.low;
        case LengthFamily::uniform:
            value += std::floor(draws.uniform() *
                                static_cast<double>(distribution.high - distribution.low + 1));
            break;
        case LengthFamily::lognormal: {
            const double sigma = distribution.sigma;
            value = distribution.mean * std::exp(sigma * draws.normal() - sigma * sigma / 2);
            break;
        }
        case LengthFamily::histogram: {
            const double u = draws.uniform();
            const auto step = std::lower_bound(
                distribution.steps.begin(), distribution.steps.end(), u,
                [](const auto& entry, double wanted) { return entry.second < wanted; });
            value = static_cast<double>(step == distribution.steps.end() ? distribution.high
                                                                         : step->first);
            break;
        }
    }
    const double clipped = std::clamp(value, static_cast<double>(distribution.low),
                                      static_cast<double>(distribution.high));
    return std::llround(clipped);
}

namespace {

// Lengths of request after request, each kind of draw from a stream of its own.
struct Drawing {
    SyntheticWorkload workload;
    Draws prompt, output, times;
    std::int64_t drawn = 0;
    double now = 0;  // s

    explicit Drawing(SyntheticWorkload w)
        : workload(std::move(w)),
          prompt(workload.seed, 1),
          output(workload.seed, 2),
          times(workload.seed, 3) {}

    std::optional<Request> draw(SimTime arrival) {
        if (drawn >= workload.requests) return std::nullopt;
        ++drawn;
        Request request;
        request.arrival = arrival;
        if (workload.lengths) {
            const Lengths lengths = workload.lengths();
            request.prompt_tokens = lengths.prompt_tokens;
            request.output_tokens = lengths.output_tokens;
        } else {
            request.prompt_tokens = draw_length(workload.prompt, prompt);
            request.output_tokens = draw_length(workload.output, output);
        }
        request.cached_tokens = static_cast<std::int64_t>(
            workload.cached_fraction * static_cast<double>(request.prompt_tokens));
        return request;
    }
};

}  // namespace

RequestStream synthetic_stream(SyntheticWorkload workload) {
    auto drawing = std::make_shared<Drawing>(std::move(workload));
    RequestStream stream;
    stream.next = [drawing]() -> std::optional<Request> {
        drawing->now += draw_distance(drawing->workload.arrivals, drawing->times);
        return drawing->draw(arrival_after(SimTime{}, drawing->now));
    };
    return stream;
}

RequestStream closed_loop_stream(ClosedLoop loop) {
    struct State {
        Drawing drawing;
        double think_seconds;
        std::int64_t users, begun = 0;
    };
    auto state = std::make_shared<State>(
        State{Drawing(std::move(loop.workload)), loop.think_seconds, loop.users});
    RequestStream stream;
    stream.next = [state]() -> std::optional<Request> {
        if (state->begun >= state->users) return std::nullopt;
        auto request = state->drawing.draw(SimTime{});
        if (request) request->user = static_cast<std::uint32_t>(state->begun++);
        return request;
    };
    stream.after = [state](std::uint32_t user, SimTime now) {
        const double think = state->think_seconds > 0
                                 ? state->think_seconds * state->drawing.times.exponential()
                                 : 0.0;
        auto request = state->drawing.draw(arrival_after(now, think));
        if (request) request->user = user;
        return request;
    };
    return stream;
}

}  // namespace orrery
