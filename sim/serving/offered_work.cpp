#include "serving/offered_work.hpp"

#include <algorithm>
#include <unordered_set>

namespace orrery {
namespace {

double pairs_behind(double prompt, double tokens) {
    return tokens * (prompt - tokens) + tokens * (tokens + 1) / 2;
}

// What the pools of a deployment have in common, as far as work is concerned.
struct Pools {
    explicit Pools(const ClusterSpec& spec) {
        for (const PoolSpec& pool : spec.pools) {
            has_decode = has_decode || pool.role == EngineRole::decode;
            block_tokens = std::max(block_tokens, pool.group.kv.block_tokens);
            if (pool.role == EngineRole::prefill) continue;
            step = std::max(step, tokens_per_step(pool.group.speculation));
        }
        for (const PoolSpec& pool : spec.pools) {
            groups.emplace_back(pool.group, sequences, report);
            decodes.push_back(pool.role == EngineRole::decode);
        }
    }
    // As Cluster::accept() decides it.
    bool fit(const Request& request) const {
        Sequence s;
        s.prompt = request.prompt_tokens;
        s.output = request.output_tokens;
        bool start = false, decode = !has_decode;
        for (std::size_t p = 0; p < groups.size(); ++p) {
            (decodes[p] ? decode : start) |= groups[p].fits(s);
        }
        return start && decode;
    }

    SequencePool sequences;
    GroupReport report;
    std::vector<AttentionGroup> groups;
    std::vector<bool> decodes;
    bool has_decode = false;
    std::int64_t block_tokens = 0;
    double step = 1;
};

}  // namespace

void for_each_request(const ClusterSpec& spec, const std::function<RequestStream()>& open,
                      const std::function<void(const RequestWork&)>& visit) {
    const Pools pools(spec);
    const RequestStream stream = open();
    const std::int64_t block = std::min(pools.block_tokens, stream.block_tokens);
    std::unordered_set<std::uint64_t> named;
    while (const auto request = stream.next()) {
        RequestWork work;
        work.arrival = to_seconds(request->arrival).value();
        const std::int64_t prompt = request->prompt_tokens;
        work.prompt = static_cast<double>(prompt);
        work.output = static_cast<double>(request->output_tokens);
        const std::int64_t stored = std::min(request->cached_tokens, prompt - 1);
        std::int64_t found = 0, blocks = 0;
        if (block > 0) {
            blocks = std::min(static_cast<std::int64_t>(request->blocks.size()), prompt / block);
            for (std::int64_t i = 0; i < blocks; ++i) {
                const bool before =
                    !named.insert(request->blocks[static_cast<std::size_t>(i)]).second;
                if (before && found == i) ++found;
            }
        }
        const auto computed = [&](std::int64_t cached) {
            return static_cast<double>(
                prompt -
                std::min(prompt - 1, std::max(stored, cached * std::max<std::int64_t>(block, 0))));
        };
        work.fresh = computed(found);
        work.fresh_pairs = pairs_behind(work.prompt, work.fresh);
        work.most = computed(0);
        work.most_pairs = pairs_behind(work.prompt, work.most);
        work.least = computed(blocks);
        work.steps = (work.output - 1) / pools.step;
        work.context =
            work.steps * work.prompt + (work.output - 1) * std::max(0.0, work.steps - 1) / 2;
        work.fits = pools.fit(*request);
        visit(work);
    }
}

}  // namespace orrery
