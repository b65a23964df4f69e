#pragma once
// The least time in which engines of a pool can do an amount of work.
//
//   An attention group runs iterations i with P_i new prompt tokens that attend to A_i keys, d_i
//   decoding sequences and C_i tokens of their context; each lasts t_i, CPU included. To do tokens
//   P, pairs A, steps d and context C within sum(d_i t_i) <= U, what the users' time per output
//   token allows their sequences to be in decode:
//
//     least time = min sum t_i  over  all ways to cut the work into iterations
//               >= p P + a A + s d + k C - u U    for any prices p, a, s, k, u >= 0 with
//                  p P_i + a A_i + s d_i + k C_i <= t_i (1 + u d_i)   for every iteration
//
//   Groups of one engine that do different iterations: prices are linear, so what is paid for all
//   of them is what is paid for their mean as often, and an engine whose groups all do the mean is
//   the fastest: attention of the slowest is at least the mean's, experts are the mean's anyway.
//   Where some have prompts while others decode, the mean does both.
//
//   The prices here are the best ones over a grid of iterations that the pool's policy and KV cache
//   allow. Batches limited by memory or by the time per output token, and Little's law for the KV
//   cache (k = shortest iteration / KV capacity, all others 0), are cases of it.
//
// It is a bound as far as the grid goes: between its points the time is taken to lie above the
// chord, as it does where kernels step up behind their tiles; kGridMargin is left for the rest.

#include <vector>

#include "serving/cluster_spec.hpp"

namespace orrery {

inline constexpr double kGridMargin = 0.03;

// Sums over requests: what prompts and decode ask for.
struct WorkSum {
    double tokens = 0, pairs = 0;   // of prompts
    double steps = 0, context = 0;  // of decode
    double decode_seconds = 0;      // U; 0: no bound
};
// Seconds of an attention group for each unit of it.
struct WorkPrices {
    double token = 0, pair = 0, step = 0, context = 0, decode_second = 0;
    double seconds(const WorkSum& work) const {
        return token * work.tokens + pair * work.pairs + step * work.steps +
               context * work.context - decode_second * work.decode_seconds;
    }
};

// An iteration and how long it takes with the CPU's share.
struct PricedIteration {
    Iteration iteration;
    double seconds = 0;
};
double period(const PoolSpec& pool, const EngineIteration& iteration);

// Which lengths occur: bounds of the grid.
struct LengthRange {
    std::int64_t longest_prompt = 1;  // tokens
    std::int64_t longest = 1;         // prompt and output
};
// Iterations that an engine's groups can run with prompts, with decode, and, in the mean, with
// both.
std::vector<PricedIteration> iteration_grid(const PoolSpec& pool, const LengthRange& lengths,
                                            bool prompts, bool decode);

// The prices that make `work` dearest.
WorkPrices best_prices(const std::vector<PricedIteration>& grid, const WorkSum& work);

}  // namespace orrery
