#include "model/affinity.hpp"

#include <cmath>

#include "core/random.hpp"
#include "model/routing_gate.hpp"

namespace orrery {

namespace {

enum Component : std::uint64_t { kPopularity = 0x706f70, kTopic = 0x746f70, kToken = 0x746f6b };

std::uint64_t word(std::int64_t n) { return static_cast<std::uint64_t>(n); }

std::uint64_t component(Component what, const RoutingDraw& draw) {
    return counter_hash(mix64(what) ^ word(draw.layer), word(draw.micro_batch), word(draw.rank));
}

// 32 random bits as a number in (0, 1): 23 of them and a half, which a float holds exactly.
float unit(std::uint32_t bits) {
    return (static_cast<float>(static_cast<std::int32_t>(bits >> 9)) + 0.5F) * 0x1.0p-23F;
}

}  // namespace

Affinities::Affinities(const AffinitySpec& spec, std::int32_t experts, std::vector<double> weights)
    : spec_(spec), experts_(experts), weights_(std::move(weights)) {}

std::vector<float> Affinities::odds(const RoutingDraw& draw) const {
    const std::uint64_t popularity = component(kPopularity, {draw.layer, 0, 0});
    const std::uint64_t topic = component(kTopic, draw);
    std::vector<float> result(static_cast<std::size_t>(experts_));
    for (std::size_t e = 0; e < result.size(); ++e) {
        double logit = 0;
        if (weights_.empty() && spec_.skew != 0) {
            logit += spec_.skew * counter_normal(spec_.seed, popularity, e);
        }
        if (spec_.sequence_skew != 0) {
            logit += spec_.sequence_skew * counter_normal(spec_.seed, topic, e);
        }
        result[e] = static_cast<float>(std::exp(logit) * (weights_.empty() ? 1 : weights_[e]));
    }
    return result;
}

void Affinities::fill(const RoutingDraw& draw, const std::vector<float>& odds,
                      const std::vector<float>& bias, std::int64_t first_token,
                      float* scores) const {
    // One hash a pair of tokens; equal to counter_hash(seed, component, draw number).
    const std::uint64_t key = mix64(mix64(spec_.seed) ^ component(kToken, draw));
    std::uint32_t bits[kGateBlock];
    for (std::int32_t e = 0; e < experts_; ++e) {
        for (std::int32_t t = 0; t < kGateBlock; t += 2) {
            const std::uint64_t number =
                word(first_token + t) / 2 * static_cast<std::uint64_t>(experts_) +
                static_cast<std::uint64_t>(e);
            const std::uint64_t hash = mix64(key ^ number);
            bits[t] = static_cast<std::uint32_t>(hash);
            bits[t + 1] = static_cast<std::uint32_t>(hash >> 32);
        }
        const float w = odds[static_cast<std::size_t>(e)], b = bias[static_cast<std::size_t>(e)];
        float* row = scores + e * kGateBlock;
        for (std::int32_t t = 0; t < kGateBlock; ++t) {
            const float u = unit(bits[t]);
            row[t] = u * w / (u * w + (1.0F - u)) + b;
        }
    }
}

}  // namespace orrery
