#include "serving/steady_load.hpp"

#include <algorithm>
#include <cmath>

#include "serving/work_prices.hpp"

namespace orrery {
namespace {

std::int64_t whole(double value) { return std::max<std::int64_t>(1, std::llround(value)); }

// An iteration's share of prompts: so many tokens of mean ones.
void add_prompts(Iteration& it, const MeanRequest& mean, double tokens) {
    if (tokens <= 0) return;
    it.prefill_tokens = whole(tokens);
    it.prefill_sequences = whole(tokens / mean.fresh);
    const double pairs = mean.fresh_pairs / mean.fresh * tokens;
    it.prefill_pairs = whole(pairs);
    // A sequence's tokens attend to what is before them and to half of each other.
    const double own = tokens / static_cast<double>(it.prefill_sequences);
    it.prefill_context = static_cast<std::int64_t>(std::max(0.0, pairs / tokens - own / 2) *
                                                   static_cast<double>(it.prefill_sequences));
}

Iteration decoding(const PoolSpec& pool, const MeanRequest& mean, std::int64_t batch) {
    Iteration it;
    it.decode_sequences = batch;
    it.decode_tokens = batch * (1 + pool.group.speculation.drafts());
    it.decode_context = whole(static_cast<double>(batch) * mean.context);
    return it;
}

// Tokens of a full batch of prompts.
double full_batch(const PoolSpec& pool, const MeanRequest& mean) {
    const BatchPolicy& policy = pool.group.policy;
    const double memory = static_cast<double>(pool.group.kv.pages * pool.group.kv.page_tokens);
    const std::int64_t prompts = policy.max_prompts > 0
                                     ? std::min(policy.max_prompts, policy.max_sequences)
                                     : policy.max_sequences;
    return std::min({static_cast<double>(policy.token_budget), memory,
                     static_cast<double>(prompts) * mean.fresh});
}

// Seconds of a group for a prompt token in full batches.
double prompt_token(const PoolSpec& pool, const MeanRequest& mean) {
    const double tokens = full_batch(pool, mean);
    Iteration it;
    add_prompts(it, mean, tokens);
    return period(pool, it) / static_cast<double>(it.prefill_tokens);
}

// An engine's iteration in which the fullest group has `full` and the mean group so many tokens.
EngineIteration engine_of(const Iteration& full, double mean_tokens) {
    EngineIteration all = full;
    all.mean_tokens = std::min(full.tokens(), whole(std::ceil(mean_tokens)));
    return all;
}

// Mean time of a step of a pool that does both; nullopt where prompts come faster than its budget.
std::optional<double> mixed_step(const PoolSpec& pool, const MeanRequest& mean,
                                 std::int64_t batch) {
    const BatchPolicy& policy = pool.group.policy;
    const Iteration decode = decoding(pool, mean, batch);
    const bool together = policy.mix == BatchMix::together;
    double room = full_batch(pool, mean);
    if (together && policy.first == BatchFirst::decode) {
        room = std::min(room, static_cast<double>(policy.token_budget - decode.decode_tokens));
    }
    const double tokens = static_cast<double>(batch) * mean.fresh / mean.steps;
    if (together && tokens > room) return std::nullopt;
    const double comings =
        static_cast<double>(batch) / mean.steps * std::max(1.0, mean.fresh / room);
    // f, or more where that many tokens are too many for one iteration.
    const double share = std::max(1 - std::exp(-comings), tokens / room);
    const auto groups = static_cast<double>(pool.groups);
    const auto decoded = static_cast<double>(decode.decode_tokens);
    const double without = period(pool, decode);
    // Of the engine's iterations those in which some group has prompts, and a group's share of
    // them.
    const double own = together ? share : share / (1 + share);
    const double any = 1 - std::pow(std::max(0.0, 1 - own), groups);
    Iteration prompts = together ? decode : Iteration{};
    add_prompts(prompts, mean, tokens / share);
    const double mean_tokens =
        own / any * tokens / share + (together ? decoded : decoded * (any - own) / any);
    const double with = period(pool, engine_of(prompts, mean_tokens));
    const double step = (1 - any) * without + any * with;
    return together ? step : step * (1 + share);
}

}  // namespace

MeanRequest mean_request(const ClusterSpec& spec, const std::function<RequestStream()>& open) {
    MeanRequest mean;
    double output = 0, context = 0;
    for_each_request(spec, open, [&](const RequestWork& r) {
        if (!r.fits) return;
        ++mean.requests;
        mean.fresh += r.fresh;
        mean.fresh_pairs += r.fresh_pairs;
        output += r.output;
        mean.steps += r.steps;
        context += r.context;
    });
    if (mean.requests == 0) return mean;
    const auto n = static_cast<double>(mean.requests);
    mean.context = mean.steps > 0 ? context / mean.steps : 0;
    mean.fresh /= n;
    mean.fresh_pairs /= n;
    mean.steps /= n;
    mean.output = output / n;
    return mean;
}

std::optional<SteadyPools> steady_pools(const ClusterSpec& spec) {
    std::optional<std::size_t> decode, prompts;
    for (std::size_t p = 0; p < spec.pools.size(); ++p) {
        auto& place = spec.pools[p].role == EngineRole::prefill ? prompts : decode;
        if (place) return std::nullopt;
        place = p;
    }
    if (!decode) return std::nullopt;
    return SteadyPools{*decode, prompts};
}

std::int64_t most_sequences(const PoolSpec& pool, const MeanRequest& mean) {
    // The last page of a sequence is half full.
    const double each = mean.context + static_cast<double>(pool.group.kv.page_tokens) / 2;
    const auto memory = static_cast<double>(pool.group.kv.pages * pool.group.kv.page_tokens);
    return std::min(pool.group.policy.max_sequences, static_cast<std::int64_t>(memory / each));
}

std::optional<SteadyPoint> steady_load(const ClusterSpec& spec, const SteadyPools& pools,
                                       const MeanRequest& mean, std::int64_t batch) {
    const PoolSpec& pool = spec.pools[pools.decode];
    const auto step = pools.prompts ? std::optional(period(pool, decoding(pool, mean, batch)))
                                    : mixed_step(pool, mean, batch);
    if (!step) return std::nullopt;
    SteadyPoint point{.batch = batch, .step = *step};
    const auto groups = static_cast<double>(pool.groups * pool.lanes);
    const double requests = groups * static_cast<double>(batch) / (mean.steps * point.step);
    point.user_rate = (mean.output - 1) / (mean.steps * point.step);
    point.rate = requests * mean.output;
    if (pools.prompts) {
        const PoolSpec& first = spec.pools[*pools.prompts];
        const double engines = requests * mean.fresh * prompt_token(first, mean) /
                               static_cast<double>(first.groups * first.lanes);
        point.prompt_gpus = engines * static_cast<double>(first.gpus_per_engine);
    }
    point.gpus = static_cast<double>(pool.gpus_per_engine) + point.prompt_gpus;
    return point;
}

}  // namespace orrery
