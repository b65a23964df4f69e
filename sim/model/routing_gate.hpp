#pragma once
// Which experts a token goes to: top-k of scores, within the best groups where routing is limited.
//
//   s[e]      affinity of the token and expert e, in (0, 1)
//   r[e]    = s[e] + b[e]                      b: correction bias, for the choice only
//   group   = largest r of its experts, or the sum of its two largest (DeepSeek-V3)
//   chosen  = top_k largest r among the experts of the top_k_groups best groups
//
// Sources: DeepSeek-V3 report, arXiv:2412.19437v1 sec. 2.1.2 and its published inference code (sum
// of two, sigmoid); DeepSeek-V2 (largest, softmax, no bias). Other models have one group. A softmax
// keeps the order of its logits, so without bias and with at most the largest of a group compared,
// softmax and sigmoid gates choose the same experts. Ties go to the lower index.

#include <cstdint>
#include <vector>

#include "model/model_spec.hpp"

namespace orrery {

enum class GroupScore : std::uint8_t { largest, two_largest };

struct GateSpec {
    std::int32_t experts = 0, top_k = 0;
    std::int32_t groups = 1, top_k_groups = 1;
    GroupScore group_score = GroupScore::two_largest;

    std::int32_t group_size() const { return experts / groups; }
};

// The gate of a model's MoE layer: two_largest where it has a correction bias, else largest.
GateSpec gate_of(const MoeSpec& moe);
// Throws InputError where no token could be routed: counts below 1, groups that do not divide the
// experts, fewer admitted experts than top_k.
void check_gate(const GateSpec& gate);

// Tokens whose scores stand side by side: scores[e * kGateBlock + t].
inline constexpr std::int32_t kGateBlock = 16;

// Chooses for a block of tokens at a time; holds the scratch space that takes.
class Gate {
  public:
    explicit Gate(const GateSpec& gate);  // throws InputError as check_gate
    const GateSpec& spec() const { return spec_; }
    // scores: experts x kGateBlock values of r. chosen: kGateBlock x top_k experts, best first.
    void choose(const float* scores, std::int32_t* chosen);

  private:
    void two_best_of_blocks(const float* scores);
    void choose_groups(std::int32_t token);
    float threshold(std::int32_t token);
    void choose_experts(const float* scores, std::int32_t token, std::int32_t* chosen);

    struct Candidate {
        float score;
        std::int32_t expert;
    };
    GateSpec spec_;
    std::int32_t blocks_ = 1;  // scan blocks of a group
    std::vector<float> first_,
        second_;  // two best of each scan block, [block x kGateBlock + token]
    std::vector<float> pool_;
    std::vector<Candidate> group_order_;
    std::vector<std::int32_t> groups_;
    std::vector<Candidate> candidates_;
};

}  // namespace orrery
