#include "serving/latency_floor.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/unit_text.hpp"

namespace orrery {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// The least over the pools that take part in it.
template <class Time>
double least_of(const ClusterSpec& spec, EngineRole but, const Time& time) {
    double least = kNever;
    for (const PoolSpec& pool : spec.pools) {
        if (pool.role != but) least = std::min(least, time(pool));
    }
    return least;
}

// One group does this, all others nothing.
double period_alone(const PoolSpec& pool, const Iteration& it) {
    EngineIteration engine = it;
    engine.mean_tokens = (it.tokens() + pool.groups - 1) / pool.groups;
    return period(pool, engine);
}

std::string text(double seconds) { return to_text(Seconds(seconds), 4); }

std::string sentence(const Deadline& deadline, const char* time, double promised, double floor,
                     const std::string& whose) {
    return fmt::format(
        "{} = {} ({}): {} takes at least {} on an engine of its own, and more "
        "requests than may miss it are like that; more engines do not help",
        deadline.name, text(promised), time, whose, text(floor));
}

}  // namespace

void LengthSpread::add(const RequestWork& work) {
    const auto whole = [](double tokens) { return SimDuration{static_cast<std::int64_t>(tokens)}; };
    ++requests;
    if (!work.fits) {
        ++not_fitting;
        return;
    }
    least.add(whole(work.least));
    outputs.add(whole(work.output));
    if (work.output > 1) decoded.add(whole(work.prompt));
}

std::int64_t reached_by_more_than(const DurationSketch& lengths, std::int64_t misses) {
    const std::int64_t count = lengths.count();
    if (misses >= count) return 0;
    // The (misses + 1)-th from above is the (count - misses)-th from below.
    const double fraction =
        static_cast<double>(count - misses) / static_cast<double>(count) * (1 - 1e-12);
    const double middle = lengths.percentile(fraction).value() * 1e12;
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(middle * (1 - DurationSketch::kRelativeError)));
}

double prompt_alone(const PoolSpec& pool, std::int64_t tokens) {
    const BatchPolicy& policy = pool.group.policy;
    const std::int64_t chunk =
        policy.chunk_tokens == 0 ? tokens : std::min(policy.chunk_tokens, policy.token_budget);
    double sum = 0;
    for (std::int64_t done = 0; done < tokens; done += chunk) {
        Iteration it;
        it.prefill_sequences = 1;
        it.prefill_tokens = std::min(chunk, tokens - done);
        it.prefill_context = done;
        it.prefill_pairs =
            it.prefill_tokens * done + it.prefill_tokens * (it.prefill_tokens + 1) / 2;
        sum += period_alone(pool, it);
    }
    return sum;
}

double token_alone(const PoolSpec& pool, std::int64_t prompt) {
    const std::int64_t verified = 1 + pool.group.speculation.drafts();
    Iteration it;
    it.decode_sequences = 1;
    it.decode_tokens = verified;
    it.decode_context = std::max<std::int64_t>(1, prompt);
    return period_alone(pool, it) / static_cast<double>(verified);
}

std::string why_impossible(const ClusterSpec& spec, const Deadline& deadline,
                           const LengthSpread& lengths) {
    const std::int64_t misses = std::max<std::int64_t>(0, deadline.misses - lengths.not_fitting);
    if (const auto first = deadline.first()) {
        const std::int64_t tokens = reached_by_more_than(lengths.least, misses);
        const double floor =
            tokens == 0 ? 0 : least_of(spec, EngineRole::decode, [&](const PoolSpec& pool) {
                return prompt_alone(pool, tokens);
            });
        if (floor > *first) {
            return sentence(deadline, "time to first token", *first, floor,
                            fmt::format("a prompt with {} tokens to compute", tokens));
        }
    }
    const auto slower = [&](std::int64_t prompt) {
        return least_of(spec, EngineRole::prefill,
                        [&](const PoolSpec& pool) { return token_alone(pool, prompt); });
    };
    if (deadline.tpot > 0) {
        const std::int64_t prompt = reached_by_more_than(lengths.decoded, misses);
        const double floor = prompt == 0 ? 0 : slower(prompt);
        if (floor > deadline.tpot) {
            return sentence(deadline, "time per output token", deadline.tpot, floor,
                            fmt::format("a token behind a prompt of {}", prompt));
        }
    }
    if (deadline.e2e > 0) {
        const std::int64_t output = reached_by_more_than(lengths.outputs, misses);
        const double floor = output < 2 ? 0 : static_cast<double>(output - 1) * slower(1);
        if (floor > deadline.e2e) {
            return sentence(deadline, "arrival to last token", deadline.e2e, floor,
                            fmt::format("an answer of {} tokens", output));
        }
    }
    return "";
}

}  // namespace orrery
