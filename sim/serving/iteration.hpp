#pragma once
// The contract between the event side of serving and the cost of an iteration: the one sees counts,
// the other answers with a duration, and neither knows the other.

#include <compare>
#include <concepts>
#include <cstdint>

#include "core/time.hpp"

namespace orrery {

// What one iteration of one data-parallel attention group computes (aggregates; all the cost model
// may read). A group is the GPUs that share one KV cache; an engine steps all its groups together.
struct Iteration {
    std::int64_t prefill_tokens = 0;     // new tokens of prompts (chunks)
    std::int64_t prefill_sequences = 0;  // prompts they belong to
    std::int64_t prefill_pairs = 0;      // sum over new prompt tokens of keys each attends to
                                         // (context before it + itself)
    std::int64_t prefill_context = 0;    // sum over prefill sequences of KV tokens already cached
    std::int64_t decode_sequences = 0;
    std::int64_t decode_tokens = 0;   // query tokens verified: sequences x (1 + speculative)
    std::int64_t decode_context = 0;  // sum over decode sequences of KV tokens read

    constexpr auto operator<=>(const Iteration&) const = default;
};

// Duration of one iteration, without the engine's work on the CPU between two of them. Called once
// a group and iteration; where an engine has several groups, the longest counts.
template <class T>
concept IterationTimer = requires(T& timer, const Iteration& iteration) {
    { timer.time(iteration) } -> std::same_as<SimDuration>;
};

}  // namespace orrery
