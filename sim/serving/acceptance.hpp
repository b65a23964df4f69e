#pragma once
// Speculative decoding and multi-token prediction: a step verifies 1 + k query tokens and yields
//   1 + the number of leading drafts accepted,  P(at least i accepted) = a_1 a_2 ... a_i
// with a_i the chance that draft i is accepted where those before it were.
//
// The steps that a sequence needs for its tokens are drawn when it begins to decode, one uniform
// number a step (a counter hash of the request); its tokens are then taken to come evenly over
// those steps. Left out: acceptance that differs between requests, drafts in trees.

#include <cstdint>
#include <vector>

namespace orrery {

struct Speculation {
    std::vector<double> acceptance = {};  // a_1 ... a_k, each from 0 to 1; empty: no drafts
    std::uint64_t seed = 1;

    std::int64_t drafts() const { return static_cast<std::int64_t>(acceptance.size()); }
};

// Mean tokens of a step.
double tokens_per_step(const Speculation& speculation);

// Steps after which request `number`, of which `emitted` tokens are out, has `tokens` more.
std::int64_t draw_steps(const Speculation& speculation, std::int64_t number, std::int64_t emitted,
                        std::int64_t tokens);

}  // namespace orrery
