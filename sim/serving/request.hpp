#pragma once
// What users ask for, as a stream that is pulled: a request exists from the moment it is drawn, so
// memory does not grow with the length of a trace.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "core/time.hpp"

namespace orrery {

struct Request {
    SimTime arrival = {};
    std::int64_t prompt_tokens = 1;  // >= 1
    std::int64_t output_tokens = 1;  // >= 1; engines do not know it in advance
    std::int32_t priority = 0;       // higher first, where the engine looks at it
    // Leading tokens of the prompt that a store outside the engines holds (its tier 2); for
    // workloads that state a hit rate and no contents.
    std::int64_t cached_tokens = 0;
    std::uint32_t user = kNoUser;  // of a closed loop
    // Names of the prompt's leading blocks; one name stands for the block and all before it. Valid
    // until the stream's next call.
    std::span<const std::uint64_t> blocks = {};

    static constexpr std::uint32_t kNoUser = std::numeric_limits<std::uint32_t>::max();
};

// Requests in order of arrival. Functions own what they read from.
struct RequestStream {
    // The next request, nullopt after the last. Throws InputError for a line that is wrong.
    std::function<std::optional<Request>()> next = {};
    // Closed loops: the request that `user` makes after one of theirs ended at `now`.
    std::function<std::optional<Request>(std::uint32_t user, SimTime now)> after = {};
    // Lines passed over as wrong, so far.
    std::function<std::int64_t()> skipped = {};
    std::int64_t block_tokens = 0;  // of Request::blocks; 0: requests have none
};

// Latest arrival of a request, 104 days; simulated time has room behind it for the answer.
inline constexpr SimTime kLatestArrival{9'000'000'000'000'000'000};
// `seconds` >= 0 after `from`; beyond kLatestArrival it is just behind that, however far it were.
SimTime arrival_after(SimTime from, double seconds);
// The stream, with an InputError where a request arrives after kLatestArrival: "<where>: ...".
RequestStream within_range(RequestStream stream, std::string where);

// The first `requests` of a stream; arrivals later than `until` and all after them are left out.
RequestStream limited(RequestStream stream, std::int64_t requests,
                      SimTime until = SimTime{std::numeric_limits<std::int64_t>::max()});
// Arrives `factor` times as fast (times divided by it).
RequestStream with_rate_scale(RequestStream stream, double factor);
// The stream that `open` gives, played `times` times one after the other; each begins where the
// last arrival of the one before was, plus its mean distance between arrivals. Where all of them
// reach beyond kLatestArrival and `where` is given, that is an InputError as soon as the first
// ends.
RequestStream repeated(std::function<RequestStream()> open, std::int64_t times,
                       std::string where = {});

}  // namespace orrery
