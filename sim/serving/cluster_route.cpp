// Which engine, and which of its attention groups, a request goes to.
#include <algorithm>

#include "serving/cluster.hpp"

namespace orrery {

std::int64_t Cluster::load(const Engine& engine) const {
    std::int64_t tokens = 0;
    for (const AttentionGroup& group : engine.groups) tokens += group.load_tokens();
    return tokens;
}

std::uint32_t Cluster::choose_group(Engine& engine) const {
    const auto groups = static_cast<std::uint32_t>(engine.groups.size());
    if (groups == 1) return 0;
    if (pools_[engine.pool].spec->balance == GroupBalance::round_robin) {
        return engine.next_group++ % groups;
    }
    std::uint32_t best = 0;
    for (std::uint32_t g = 1; g < groups; ++g) {
        if (engine.groups[g].load_tokens() < engine.groups[best].load_tokens()) best = g;
    }
    return best;
}

Cluster::Target Cluster::round_robin() {
    const auto engines = static_cast<std::uint32_t>(engines_.size());
    for (std::uint32_t tried = 0; tried < engines; ++tried) {
        const std::uint32_t index = next_start_++ % engines;
        Engine& engine = engines_[index];
        if (engine.state != State::up || pools_[engine.pool].spec->role == EngineRole::decode) {
            continue;
        }
        return {index, choose_group(engine)};
    }
    return {};
}

// Of engines up, the least loaded, and the one that looks best to its pool's router; the first of
// equals.
Cluster::Target Cluster::by_load_and_hit(const Sequence& s) {
    Target least, best, cheapest;
    std::int64_t least_load = INT64_MAX, best_hit = 0, best_load = 0;
    double cheapest_cost = 0;
    const Router* router = nullptr;
    for (std::uint32_t index = 0; index < engines_.size(); ++index) {
        Engine& engine = engines_[index];
        const PoolSpec& pool = *pools_[engine.pool].spec;
        if (engine.state != State::up || pool.role == EngineRole::decode) continue;
        router = &pool.router;
        const std::int64_t tokens = load(engine);
        if (tokens < least_load) {
            least_load = tokens;
            least = {index, Sequence::kNone};
        }
        if (router->kind == RouterKind::least_loaded) continue;
        for (std::uint32_t g = 0; g < engine.groups.size(); ++g) {
            const AttentionGroup& group = engine.groups[g];
            const std::int64_t hit = group.hit_tokens(s);
            if (hit > best_hit) {
                best_hit = hit;
                best_load = tokens;
                best = {index, g};
            }
            const double cost = router->overlap_weight * static_cast<double>(s.prompt - hit) +
                                static_cast<double>(group.load_tokens());
            if (cheapest.engine == Sequence::kNone || cost < cheapest_cost) {
                cheapest_cost = cost;
                cheapest = {index, g};
            }
        }
    }
    if (least.engine == Sequence::kNone) return least;
    if (router->kind == RouterKind::kv_aware) return cheapest;
    const bool follow =
        router->kind == RouterKind::prefix_aware && best_hit > 0 &&
        static_cast<double>(best_hit) >= router->cache_threshold * static_cast<double>(s.prompt) &&
        static_cast<double>(best_load) <=
            router->imbalance * static_cast<double>(least_load) + static_cast<double>(s.prompt);
    if (follow) return best;
    least.group = choose_group(engines_[least.engine]);
    return least;
}

Cluster::Target Cluster::choose(const Sequence& s) {
    if (engines_.size() == 1) {
        if (engines_[0].state != State::up) return {};
        return {0, choose_group(engines_[0])};
    }
    for (const Pool& pool : pools_) {
        if (pool.spec->role == EngineRole::decode) continue;
        if (pool.spec->router.kind == RouterKind::round_robin) return round_robin();
        break;
    }
    return by_load_and_hit(s);
}

// Without an engine that is up the request waits until one is.
void Cluster::route(std::uint32_t index, bool again) {
    Sequence& s = sequences_[index];
    const Target target = choose(s);
    s.engine = target.engine;
    s.group = target.group;
    if (target.engine == Sequence::kNone) {
        s.state = SequenceState::waiting;
        homeless_.push_back(index);
        waiting_series_.set(now(), ++waiting_);
        return;
    }
    group_of(s).enqueue(index, again);
    touch(target.engine);
}

}  // namespace orrery
