#include "model/routing_gate.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

std::size_t index(std::int32_t i) { return static_cast<std::size_t>(i); }

// Scan blocks of a group: enough that the two best of each admitted block hold top_k experts.
std::int32_t scan_blocks(const GateSpec& g) {
    const std::int32_t size = g.group_size();
    for (std::int32_t blocks = 1; blocks < size; ++blocks) {
        if (size % blocks != 0) continue;
        if (g.top_k_groups * blocks * std::min(2, size / blocks) >= g.top_k) return blocks;
    }
    return size;
}

}  // namespace

GateSpec gate_of(const MoeSpec& moe) {
    GateSpec gate;
    gate.experts = static_cast<std::int32_t>(moe.experts);
    gate.top_k = static_cast<std::int32_t>(moe.top_k);
    gate.groups = static_cast<std::int32_t>(moe.groups);
    gate.top_k_groups = static_cast<std::int32_t>(moe.top_k_groups);
    gate.group_score = moe.router_bias ? GroupScore::two_largest : GroupScore::largest;
    return gate;
}

void check_gate(const GateSpec& g) {
    if (g.experts < 1 || g.top_k < 1 || g.groups < 1 || g.experts % g.groups != 0) {
        throw InputError(fmt::format(
            "gate: top {} of {} experts in {} groups: all must be at least 1 and the groups must "
            "divide the experts",
            g.top_k, g.experts, g.groups));
    }
    if (g.top_k_groups < 1 || g.top_k_groups > g.groups) {
        throw InputError(fmt::format("gate: top_k_groups = {}: must be 1 to the {} groups",
                                     g.top_k_groups, g.groups));
    }
    if (g.top_k > g.top_k_groups * g.group_size()) {
        throw InputError(
            fmt::format("gate: top_k = {}: must be at most {}, the experts of {} groups", g.top_k,
                        g.top_k_groups * g.group_size(), g.top_k_groups));
    }
}

Gate::Gate(const GateSpec& gate) : spec_(gate) {
    check_gate(gate);
    blocks_ = scan_blocks(gate);
    first_.resize(index(gate.groups * blocks_ * kGateBlock));
    second_.resize(first_.size());
    groups_.resize(index(gate.top_k_groups));
    candidates_.reserve(index(gate.experts));
}

void Gate::two_best_of_blocks(const float* scores) {
    const std::int32_t size = spec_.group_size() / blocks_;
    const float* row = scores;
    for (std::int32_t block = 0; block < spec_.groups * blocks_; ++block) {
        float a[kGateBlock], b[kGateBlock];
        for (int t = 0; t < kGateBlock; ++t) a[t] = b[t] = kNone;
        for (std::int32_t e = 0; e < size; ++e, row += kGateBlock) {
            for (int t = 0; t < kGateBlock; ++t) {
                const float lower = row[t] < a[t] ? row[t] : a[t];
                a[t] = row[t] > a[t] ? row[t] : a[t];
                b[t] = lower > b[t] ? lower : b[t];
            }
        }
        std::copy_n(a, kGateBlock, &first_[index(block * kGateBlock)]);
        std::copy_n(b, kGateBlock, &second_[index(block * kGateBlock)]);
    }
}

void Gate::choose_groups(std::int32_t token) {
    if (spec_.top_k_groups == spec_.groups) {
        for (std::int32_t g = 0; g < spec_.groups; ++g) groups_[index(g)] = g;
        return;
    }
    group_order_.clear();
    for (std::int32_t g = 0; g < spec_.groups; ++g) {
        float first = kNone, second = kNone;
        for (std::int32_t block = g * blocks_; block < (g + 1) * blocks_; ++block) {
            const float a = first_[index(block * kGateBlock + token)];
            const float b = second_[index(block * kGateBlock + token)];
            second = std::max({second, std::min(first, a), b});
            first = std::max(first, a);
        }
        const bool sum = spec_.group_score == GroupScore::two_largest && spec_.group_size() > 1;
        group_order_.push_back({sum ? first + second : first, g});
    }
    std::partial_sort(group_order_.begin(), group_order_.begin() + spec_.top_k_groups,
                      group_order_.end(), [](const Candidate& a, const Candidate& b) {
                          return a.score > b.score || (a.score == b.score && a.expert < b.expert);
                      });
    for (std::int32_t g = 0; g < spec_.top_k_groups; ++g) {
        groups_[index(g)] = group_order_[index(g)].expert;
    }
}

// A score that at least top_k admitted experts reach: the top_k-th of the blocks' two best.
float Gate::threshold(std::int32_t token) {
    pool_.clear();
    for (const std::int32_t g : groups_) {
        for (std::int32_t block = g * blocks_; block < (g + 1) * blocks_; ++block) {
            pool_.push_back(first_[index(block * kGateBlock + token)]);
            pool_.push_back(second_[index(block * kGateBlock + token)]);
        }
    }
    const auto kth = pool_.begin() + (spec_.top_k - 1);
    std::nth_element(pool_.begin(), kth, pool_.end(), std::greater<>());
    return *kth;
}

void Gate::choose_experts(const float* scores, std::int32_t token, std::int32_t* chosen) {
    const float least = threshold(token);
    candidates_.clear();
    for (const std::int32_t g : groups_) {
        const std::int32_t begin = g * spec_.group_size();
        for (std::int32_t e = begin; e < begin + spec_.group_size(); ++e) {
            const float score = scores[e * kGateBlock + token];
            if (score >= least) candidates_.push_back({score, e});
        }
    }
    std::partial_sort(candidates_.begin(), candidates_.begin() + spec_.top_k, candidates_.end(),
                      [](const Candidate& a, const Candidate& b) {
                          return a.score > b.score || (a.score == b.score && a.expert < b.expert);
                      });
    for (std::int32_t k = 0; k < spec_.top_k; ++k) chosen[k] = candidates_[index(k)].expert;
}

void Gate::choose(const float* scores, std::int32_t* chosen) {
    two_best_of_blocks(scores);
    for (std::int32_t token = 0; token < kGateBlock; ++token) {
        choose_groups(token);
        choose_experts(scores, token, chosen + index(token) * index(spec_.top_k));
    }
}

}  // namespace orrery
