// Core attention of IterationTime: worked out, or read from tables of its time over its roofline.
#include <algorithm>
#include <cmath>

#include "serving/iteration_time.hpp"
#include "serving/lattice.hpp"

namespace orrery {

namespace {

constexpr int kCorePoints = 3;      // of an axis, an octave
constexpr double kNoContext = 256;  // added to contexts: near 0 their ratio hardly changes
constexpr double kCoreFloor = 5e-6;

double ratio(std::int64_t a, std::int64_t b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

PhaseTime scaled(PhaseTime time, double factor) {
    for (double& seconds : time.seconds) seconds *= factor;
    return time;
}

}  // namespace

// FLOPs and bytes of core attention over peak rates: what its time is read in proportion to.
double IterationTime::core_roofline(std::size_t kind, const InferenceBatch& b, bool decode) const {
    const AttentionSpec& a = costs_.kinds()[kind].layer.attention;
    const double peak = spec_->accelerator.peak_bf16.value.value();
    const double bandwidth = spec_->accelerator.copy_bandwidth.value.value();
    const double heads = ratio(a.heads, spec_->plan.tp);
    const double element = static_cast<double>(spec_->plan.key_value_bits) / 8;
    const auto all = [](std::int64_t n) { return static_cast<double>(n); };
    const double dim = all(a.head_dim), latent = a.mla ? all(a.mla->kv_lora_rank) : 0;
    const double rope = a.mla ? all(a.mla->qk_rope_head_dim) : 0;
    const double expansion =
        a.mla ? 2 * latent * heads * all(a.mla->qk_nope_head_dim + a.mla->v_head_dim) / peak : 0;
    if (!decode) {
        const double width = a.mla ? dim + all(a.mla->v_head_dim) : 2 * dim;
        return kCoreFloor + 2 * heads * width * all(b.prefill_pairs) / peak +
               expansion * all(b.prefill_tokens + b.prefill_context);
    }
    const double pairs = all(b.decode_tokens) * ratio(b.decode_context, b.decode_sequences);
    const double width = a.mla ? 2 * latent + rope : 2 * dim;
    const double cached =
        a.mla ? latent + rope : 2 * dim * std::max(1.0, ratio(a.kv_heads, spec_->plan.tp));
    return kCoreFloor + 2 * heads * width * pairs / peak + expansion * all(b.decode_tokens) +
           cached * element * all(b.decode_context) / bandwidth;
}

// Time over roofline at a point of the table: sequences, queries of each, context of each.
double IterationTime::core_ratio(std::size_t kind, Regime regime, bool decode, const Cores& at) {
    const auto [it, added] = core_ratios_.try_emplace({kind, regime, decode, at});
    if (!added) return it->second;
    const auto [sequences, queries, shifted, unused] = at;
    const std::int64_t context =
        std::max<std::int64_t>(0, shifted - static_cast<std::int64_t>(kNoContext));
    InferenceBatch b;
    if (decode) {
        b.decode_sequences = sequences;
        b.decode_tokens = sequences * queries;
        b.decode_context = sequences * std::max<std::int64_t>(1, context);
    } else {
        b.prefill_sequences = sequences;
        b.prefill_tokens = sequences * queries;
        b.prefill_context = sequences * context;
        b.prefill_pairs = sequences * (queries * context + (queries * queries + 1) / 2);
    }
    const PhaseTime time =
        decode ? costs_.decode_core(kind, b, regime, false) : costs_.prefill_core(kind, b, false);
    it->second = time.alone() / core_roofline(kind, b, decode);
    return it->second;
}

// How core attention stretches beside the all-to-all's kernel, from prompts of 4096 tokens.
PhaseTime IterationTime::environments_of_core(std::size_t kind, Regime regime) {
    const auto [it, added] = core_environments_.try_emplace({kind, regime});
    if (!added) return it->second;
    it->second.seconds.fill(1);
    if (regime == Regime::prefill) {
        InferenceBatch b;
        b.prefill_sequences = 1;
        b.prefill_tokens = 4096;
        b.prefill_pairs = 4096 * 2048;
        const PhaseTime time = costs_.prefill_core(kind, b, true);
        it->second = scaled(time, 1 / time.alone());
    }
    return it->second;
}

PhaseTime IterationTime::core(std::size_t kind, const InferenceBatch& batch, Regime regime,
                              bool overlapped, bool exact) {
    PhaseTime sum;
    if (exact) {
        if (batch.prefill_tokens > 0) sum += costs_.prefill_core(kind, batch, overlapped);
        if (batch.decode_tokens > 0) sum += costs_.decode_core(kind, batch, regime, overlapped);
        return sum;
    }
    double seconds = 0;
    const auto read = [&](bool decode, std::int64_t sequences, std::int64_t tokens,
                          std::int64_t context) {
        const std::array cells{
            axis_cell(static_cast<double>(std::max<std::int64_t>(1, sequences)), kCorePoints),
            axis_cell(std::max(1.0, ratio(tokens, sequences)), kCorePoints),
            axis_cell(kNoContext + ratio(context, sequences), kCorePoints)};
        const double read_ratio = read_lattice(cells, [&](const std::array<std::int64_t, 3>& at) {
            return core_ratio(kind, regime, decode, {at[0], at[1], at[2], 0});
        });
        seconds += read_ratio * core_roofline(kind, batch, decode);
    };
    if (batch.prefill_tokens > 0) {
        read(false, batch.prefill_sequences, batch.prefill_tokens, batch.prefill_context);
    }
    if (batch.decode_tokens > 0) {
        read(true, batch.decode_sequences, batch.decode_tokens, batch.decode_context);
    }
    sum.seconds.fill(seconds);
    return overlapped ? scaled(environments_of_core(kind, regime), seconds) : sum;
}

}  // namespace orrery
