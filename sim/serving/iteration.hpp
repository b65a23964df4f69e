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

    constexpr std::int64_t tokens() const { return prefill_tokens + decode_tokens; }
    constexpr auto operator<=>(const Iteration&) const = default;
};

// What an engine's groups compute in the iteration they take together.
//
//   own work         attention, norms, projections, dense MLPs, shared experts, output head: over a
//                    group's own tokens. The slowest group keeps all others waiting, and it is the
//                    same one in every layer.
//   routed experts   over the tokens of all groups, which spread over all ranks: the mean group's
//   all-to-alls      a rank sends its own tokens and gets back their results, the fullest group's
//                    being the last; what arrives for its experts is the mean group's
//
// All groups step in one mode: where one has prompts, all run as with prompts (packed experts,
// normal all-to-all, no CUDA graph), those that only decode as well (SGLang: DeepEPMode.resolve()
// by is_extend_in_batch, gathered over the data-parallel ranks). A group without tokens takes part
// in every all-to-all with an empty batch, costs nothing of its own and counts in the mean.
struct EngineIteration {
    Iteration slowest = {};           // the group whose own work takes longest
    std::int64_t mean_tokens = 0;     // of a group, those without any included; rounded up
    std::int64_t fullest_tokens = 0;  // of the group with most
    bool prompts = false;             // some group has prompts

    constexpr EngineIteration() = default;
    // All groups alike.
    constexpr EngineIteration(const Iteration& each)  // NOLINT: one group's counts say it all
        : slowest(each),
          mean_tokens(each.tokens()),
          fullest_tokens(each.tokens()),
          prompts(each.prefill_tokens > 0) {}
    constexpr auto operator<=>(const EngineIteration&) const = default;
};

// time(): of an engine's iteration, without its work on the CPU between two of them. own_time(): of
// a group's own work in an engine with or without prompts, to compare groups by; asked for nothing
// else, and not at all of engines with one busy group.
template <class T>
concept IterationTimer = requires(T& timer, const EngineIteration& iteration,
                                  const Iteration& group) {
    { timer.time(iteration) } -> std::same_as<SimDuration>;
    { timer.own_time(group, true) } -> std::same_as<SimDuration>;
};

}  // namespace orrery
