#include "serving/request.hpp"

#include <cmath>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

SimTime arrival_after(SimTime from, double seconds) {
    const double left = to_seconds(kLatestArrival - from).value();
    if (from > kLatestArrival || !(seconds < left)) return SimTime{kLatestArrival.ps + 1};
    return from + to_sim_duration(Seconds(seconds));
}

RequestStream within_range(RequestStream stream, std::string where) {
    RequestStream result = stream;
    const auto checked = [where = std::move(where)](std::optional<Request> request) {
        if (request && request->arrival > kLatestArrival) {
            throw InputError(fmt::format("{}: a request arrives after {:g} s, must arrive before",
                                         where, to_seconds(kLatestArrival).value()));
        }
        return request;
    };
    result.next = [next = std::move(stream.next), checked] { return checked(next()); };
    if (stream.after) {
        result.after = [after = std::move(stream.after), checked](std::uint32_t user, SimTime now) {
            return checked(after(user, now));
        };
    }
    return result;
}

RequestStream limited(RequestStream stream, std::int64_t requests, SimTime until) {
    RequestStream result = stream;
    result.next = [next = std::move(stream.next), requests,
                   until]() mutable -> std::optional<Request> {
        if (requests <= 0) return std::nullopt;
        --requests;
        std::optional<Request> request = next();
        if (!request || request->arrival > until) requests = 0;
        return requests == 0 && request && request->arrival > until ? std::nullopt : request;
    };
    return result;
}

RequestStream with_rate_scale(RequestStream stream, double factor) {
    RequestStream result = stream;
    result.next = [next = std::move(stream.next), factor]() -> std::optional<Request> {
        std::optional<Request> request = next();
        if (request) {
            const double ps = static_cast<double>(request->arrival.ps) / factor;
            request->arrival = ps < static_cast<double>(kLatestArrival.ps)
                                   ? SimTime{std::llround(ps)}
                                   : SimTime{kLatestArrival.ps + 1};
        }
        return request;
    };
    return result;
}

namespace {

// A stream played again and again.
struct Repetition {
    std::function<RequestStream()> open;
    RequestStream current;
    std::int64_t left;
    std::string where;
    std::int64_t begin_ps = 0, last_ps = 0, count = 0, skipped = 0;

    // Begins anew behind the last arrival and a mean distance.
    void start_over() {
        if (current.skipped) skipped += current.skipped();
        const std::int64_t span = last_ps - begin_ps, period = span + span / count;
        if (!where.empty() && begin_ps == 0 && period > 0 && left > kLatestArrival.ps / period) {
            throw InputError(fmt::format(
                "{}: {:.4g} s of arrivals each: must end before {:g} s, or by workload.requests or "
                "workload.duration",
                where, 1e-12 * static_cast<double>(period), to_seconds(kLatestArrival).value()));
        }
        --left;
        begin_ps += period;
        count = 0;
        current = open();
    }
};

}  // namespace

RequestStream repeated(std::function<RequestStream()> open, std::int64_t times, std::string where) {
    auto state =
        std::make_shared<Repetition>(Repetition{std::move(open), {}, times, std::move(where)});
    state->current = state->open();
    RequestStream result;
    result.block_tokens = state->current.block_tokens;
    result.next = [state]() -> std::optional<Request> {
        std::optional<Request> request = state->current.next();
        if (!request && state->left > 1 && state->count > 0) {
            state->start_over();
            request = state->current.next();
        }
        if (!request) return request;
        const bool late = request->arrival.ps > kLatestArrival.ps - state->begin_ps;
        request->arrival =
            SimTime{late ? kLatestArrival.ps + 1 : state->begin_ps + request->arrival.ps};
        state->last_ps = request->arrival.ps;
        ++state->count;
        return request;
    };
    result.skipped = [state] {
        return state->skipped + (state->current.skipped ? state->current.skipped() : 0);
    };
    return result;
}

}  // namespace orrery
