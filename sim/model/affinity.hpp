#pragma once
// Synthetic affinities of tokens and experts, drawn from a stated distribution.
//
//   s[t,e] = sigmoid(m[e] + c[q,e] + x[t,e])        x ~ Logistic(0, 1), each token and expert
//   m[e]   = skew N(0, 1)                           popularity, one draw a (seed, layer, expert)
//   c[q,e] = sequence_skew N(0, 1)                  one draw a (seed, layer, sequence, expert)
//
// A sequence is what one rank routes in one micro-batch: its topic makes some experts popular for
// all of its tokens, which a bias learnt over steps cannot take away. With both skews 0 every
// affinity is uniform in (0, 1) and routing is uniform. The distribution is an assumption: what
// fixes it is the load that a run or a file of loads shows. Since x is logistic,
// s = u w / (u w + 1 - u) with u uniform and w = exp(m + c): no exponential for each token.
// Left out: correlation of neighbouring tokens and between layers.

#include <cstdint>
#include <vector>

namespace orrery {

struct AffinitySpec {
    double skew = 0;           // standard deviation of experts' log-odds
    double sequence_skew = 0;  // the same, anew for each sequence
    std::uint64_t seed = 1;
};

// Which sequence of which layer; every number is a pure function of (seed, these, expert, token).
struct RoutingDraw {
    std::int64_t layer = 0, micro_batch = 0, rank = 0;
};

class Affinities {
  public:
    // `weights`: exp(m), where they are known (a file of loads); empty: drawn.
    Affinities(const AffinitySpec& spec, std::int32_t experts, std::vector<double> weights = {});
    // Odds w of every expert for the sequence.
    std::vector<float> odds(const RoutingDraw& draw) const;
    // Scores s + bias of kGateBlock tokens from `first_token` on (a multiple of kGateBlock), as
    // Gate::choose takes them. `bias`: experts values.
    void fill(const RoutingDraw& draw, const std::vector<float>& odds,
              const std::vector<float>& bias, std::int64_t first_token, float* scores) const;

  private:
    AffinitySpec spec_;
    std::int32_t experts_;
    std::vector<double> weights_;
};

}  // namespace orrery
