#include "serving/request.hpp"

#include <cmath>
#include <memory>
#include <utility>

namespace orrery {

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
            request->arrival =
                SimTime{std::llround(static_cast<double>(request->arrival.ps) / factor)};
        }
        return request;
    };
    return result;
}

RequestStream repeated(std::function<RequestStream()> open, std::int64_t times) {
    struct State {
        std::function<RequestStream()> open;
        RequestStream current;
        std::int64_t left;
        std::int64_t begin_ps = 0, last_ps = 0, count = 0, skipped = 0;
    };
    auto state = std::make_shared<State>(State{std::move(open), {}, times});
    state->current = state->open();
    RequestStream result;
    result.block_tokens = state->current.block_tokens;
    result.next = [state]() -> std::optional<Request> {
        std::optional<Request> request = state->current.next();
        if (!request && state->left > 1 && state->count > 0) {
            if (state->current.skipped) state->skipped += state->current.skipped();
            --state->left;
            const std::int64_t span = state->last_ps - state->begin_ps;
            state->begin_ps = state->last_ps + span / state->count;
            state->count = 0;
            state->current = state->open();
            request = state->current.next();
        }
        if (!request) return request;
        request->arrival = SimTime{state->begin_ps + request->arrival.ps};
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
