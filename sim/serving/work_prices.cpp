#include "serving/work_prices.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "serving/linear_program.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kTile = 128;  // rows of a matrix: kernels step up behind its multiples

// 1 ... most, `per_octave` points an octave, multiples of `tile` above it.
std::vector<std::int64_t> axis(std::int64_t least, std::int64_t most, double per_octave,
                               std::int64_t tile) {
    std::vector<std::int64_t> points;
    for (double x = static_cast<double>(least);; x *= std::exp2(1 / per_octave)) {
        auto n = static_cast<std::int64_t>(std::llround(x));
        if (n > tile) n = (n + tile - 1) / tile * tile;
        if (n >= most) break;
        if (points.empty() || n > points.back()) points.push_back(n);
    }
    points.push_back(std::max(least, most));
    return points;
}

struct Limits {
    Limits(const PoolSpec& pool, const LengthRange& lengths) {
        const BatchPolicy& policy = pool.group.policy;
        const std::int64_t longest = lengths.longest_prompt;
        capacity = pool.group.kv.pages * pool.group.kv.page_tokens;
        sequences = std::min(policy.max_sequences, capacity);
        // Prompts that are not cut may exceed the budget alone; their KV is in memory.
        tokens =
            policy.chunk_tokens == 0 ? std::max(policy.token_budget, longest) : policy.token_budget;
        tokens = std::min(tokens, capacity);
        // Prompts with a part in one iteration.
        const std::int64_t prompts =
            policy.max_prompts > 0 ? std::min(policy.max_prompts, sequences) : sequences;
        if (prompts < tokens / longest) tokens = prompts * longest;
        // Sequences that share blocks read more than memory holds.
        context = pool.group.kv.block_tokens > 0 ? INT64_MAX : capacity;
    }
    std::int64_t capacity = 0, sequences = 0, tokens = 0, context = 0;
};

void add_prompts(std::vector<Iteration>& all, const Limits& limits, const LengthRange& lengths,
                 bool coarse) {
    for (const std::int64_t tokens : axis(1, limits.tokens, coarse ? 0.75 : 2, kTile)) {
        for (const std::int64_t wanted :
             {std::int64_t{64}, std::int64_t{512}, std::int64_t{4096}, lengths.longest_prompt}) {
            const std::int64_t length = std::min({wanted, tokens, lengths.longest_prompt});
            for (const std::int64_t before : {std::int64_t{0}, std::int64_t{2048},
                                              std::int64_t{16384}, lengths.longest_prompt / 2}) {
                if (coarse && (before > 0 || wanted == 512)) continue;
                if (before + length > lengths.longest_prompt) continue;
                Iteration it;
                it.prefill_sequences = std::max<std::int64_t>(1, tokens / length);
                it.prefill_tokens = tokens;
                it.prefill_context = it.prefill_sequences * before;
                it.prefill_pairs = tokens * before + tokens * (length + 1) / 2;
                all.push_back(it);
            }
        }
    }
}

void add_decode(std::vector<Iteration>& all, const PoolSpec& pool, const Limits& limits,
                const LengthRange& lengths, bool coarse) {
    for (const std::int64_t d : axis(1, limits.sequences, coarse ? 1 : 3, 64)) {
        const std::int64_t most = std::min(lengths.longest, limits.context / d);
        for (const double share : {0.0, 0.03, 0.1, 0.3, 1.0}) {
            if (coarse && share == 0.03) continue;
            Iteration it;
            it.decode_sequences = d;
            it.decode_tokens = d * (1 + pool.group.speculation.drafts());
            it.decode_context = std::max<std::int64_t>(
                d, static_cast<std::int64_t>(share * static_cast<double>(d * most)));
            all.push_back(it);
        }
    }
}

// Every pair of iterations with prompts alone and with decode alone as one.
void add_both(std::vector<Iteration>& all, const std::vector<Iteration>& prompts,
              const std::vector<Iteration>& decode) {
    for (const Iteration& p : prompts) {
        for (const Iteration& d : decode) {
            Iteration it = p;
            it.decode_sequences = d.decode_sequences;
            it.decode_tokens = d.decode_tokens;
            it.decode_context = d.decode_context;
            all.push_back(it);
        }
    }
}

}  // namespace

double period(const PoolSpec& pool, const EngineIteration& iteration) {
    const double time = to_seconds(pool.timer.time(iteration)).value();
    const BatchPolicy& policy = pool.group.policy;
    const double cpu = policy.cpu_time.value.value();
    return policy.cpu_overlapped ? std::max(time, cpu) : time + cpu;
}

std::vector<PricedIteration> iteration_grid(const PoolSpec& pool, const LengthRange& lengths,
                                            bool prompts, bool decode) {
    const Limits limits(pool, lengths);
    std::vector<Iteration> all;
    if (prompts) add_prompts(all, limits, lengths, false);
    if (decode) add_decode(all, pool, limits, lengths, false);
    if (prompts && decode && (pool.group.policy.mix == BatchMix::together || pool.groups > 1)) {
        std::vector<Iteration> some_prompts, some_decode;
        add_prompts(some_prompts, limits, lengths, true);
        add_decode(some_decode, pool, limits, lengths, true);
        add_both(all, some_prompts, some_decode);
    }
    std::vector<PricedIteration> grid;
    for (const Iteration& it : all) grid.push_back({it, period(pool, it)});
    return grid;
}

WorkPrices best_prices(const std::vector<PricedIteration>& grid, const WorkSum& work) {
    LinearProgram<5> program;
    program.gain = {work.tokens, work.pairs, work.steps, work.context, -work.decode_seconds};
    std::array<double, 5> most{};
    for (const PricedIteration& priced : grid) {
        if (!(priced.seconds > 0)) return {};
        const Iteration& it = priced.iteration;
        const auto d = static_cast<double>(it.decode_sequences);
        program.rows.push_back({static_cast<double>(it.prefill_tokens),
                                static_cast<double>(it.prefill_pairs), d,
                                static_cast<double>(it.decode_context),
                                work.decode_seconds > 0 ? -d * priced.seconds : 0.0});
        program.limits.push_back(priced.seconds);
        for (std::size_t v = 0; v < most.size(); ++v) {
            most[v] = std::max(most[v], std::abs(program.rows.back()[v]));
        }
    }
    // Columns of one size: entries from 0 to 1.
    for (std::size_t v = 0; v < most.size(); ++v) {
        const double scale = most[v] > 0 ? most[v] : 1;
        for (auto& row : program.rows) row[v] /= scale;
        program.gain[v] = most[v] > 0 ? program.gain[v] / scale : 0;
    }
    std::array<double, 5> y = maximise(program);
    for (std::size_t v = 0; v < most.size(); ++v) y[v] = most[v] > 0 ? y[v] / most[v] : 0;
    return {y[0], y[1], y[2], y[3], y[4]};
}

}  // namespace orrery
