#include "serving/size_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "serving/latency_floor.hpp"
#include "serving/window_work.hpp"

namespace orrery {
namespace {

using Open = std::function<RequestStream()>;

// The workload in one look.
struct Survey {
    LengthSpread lengths;
    WorkSum work;  // of requests that fit
    LengthRange range;
    double first = 0, last = 0, longest_output = 1;
};

Survey survey(const ClusterSpec& spec, const Open& open) {
    Survey s;
    for_each_request(spec, open, [&](const RequestWork& r) {
        if (s.lengths.requests == 0) s.first = r.arrival;
        s.last = r.arrival;
        s.lengths.add(r);
        if (!r.fits) return;
        s.work.tokens += r.fresh;
        s.work.pairs += r.fresh_pairs;
        s.work.steps += r.steps;
        s.work.context += r.context;
        s.work.decode_seconds += r.output - 1;  // times the promised time, later
        s.longest_output = std::max(s.longest_output, r.output);
        s.range.longest_prompt =
            std::max(s.range.longest_prompt, static_cast<std::int64_t>(r.prompt));
        s.range.longest = std::max(s.range.longest, static_cast<std::int64_t>(r.prompt + r.output));
    });
    return s;
}

// One kind of work that one pool does, and the deadlines that it has.
struct Phase {
    std::size_t pool = 0;
    bool prompts = false, decode = false;
    const char* name() const {
        return !decode ? "prompts" : prompts ? "prompts and decode steps" : "decode steps";
    }
};

// The pool in which all of it is done, where there is one.
std::optional<std::size_t> only_pool(const ClusterSpec& spec, EngineRole but) {
    std::optional<std::size_t> found;
    for (std::size_t p = 0; p < spec.pools.size(); ++p) {
        if (spec.pools[p].role == but) continue;
        if (found) return std::nullopt;
        found = p;
    }
    return found;
}

std::vector<Phase> phases_of(const ClusterSpec& spec) {
    std::vector<Phase> phases;
    const auto prompts = only_pool(spec, EngineRole::decode);
    const auto decode = only_pool(spec, EngineRole::prefill);
    if (prompts) phases.push_back({*prompts, true, false});
    if (decode) phases.push_back({*decode, false, true});
    if (prompts && prompts == decode) phases.push_back({*prompts, true, true});
    return phases;
}

// A phase under a deadline.
struct Case {
    Phase phase;
    Deadline deadline;
    WorkPrices prices;
    WindowWork windows;
};

WorkSum work_of(const Phase& phase, const RequestWork& r, double tpot, bool most) {
    WorkSum work;
    if (phase.prompts) {
        work.tokens = most ? r.most : r.fresh;
        work.pairs = most ? r.most_pairs : r.fresh_pairs;
    }
    if (phase.decode) {
        work.steps = r.steps;
        work.context = r.context;
        work.decode_seconds = tpot * (r.output - 1);
    }
    return work;
}

std::vector<Case> make_cases(const ClusterSpec& spec, const std::vector<Deadline>& promised,
                             const Survey& s) {
    std::vector<Case> cases;
    for (const Phase& phase : phases_of(spec)) {
        std::vector<PricedIteration> grid;
        for (const Deadline& deadline : promised) {
            const auto time = phase.decode ? deadline.last(s.longest_output) : deadline.first();
            if (!time) continue;
            if (grid.empty()) {
                grid = iteration_grid(spec.pools[phase.pool], s.range, phase.prompts, phase.decode);
            }
            RequestWork all;
            all.fresh = s.work.tokens;
            all.fresh_pairs = s.work.pairs;
            all.steps = s.work.steps;
            all.context = s.work.context;
            all.output = 1 + s.work.decode_seconds;
            const WorkPrices prices = best_prices(grid, work_of(phase, all, deadline.tpot, false));
            const std::int64_t misses =
                std::max<std::int64_t>(0, deadline.misses - s.lengths.not_fitting);
            cases.push_back(
                {phase, deadline, prices, WindowWork(s.first, s.last, s.last + *time, misses)});
        }
    }
    return cases;
}

void bound_capacity(const ClusterSpec& spec, const std::vector<Deadline>& promised, const Survey& s,
                    const Open& open, SizeBounds& result) {
    std::vector<Case> cases = make_cases(spec, promised, s);
    if (cases.empty()) return;
    for_each_request(spec, open, [&](const RequestWork& r) {
        if (!r.fits) return;
        for (Case& c : cases) {
            const double tpot = c.deadline.tpot;
            const auto time = c.phase.decode ? c.deadline.last(r.output) : c.deadline.first();
            c.windows.add(r.arrival, r.arrival + *time,
                          c.prices.seconds(work_of(c.phase, r, tpot, false)),
                          c.prices.seconds(work_of(c.phase, r, tpot, true)));
        }
    });
    for (const Case& c : cases) {
        const PoolSpec& pool = spec.pools[c.phase.pool];
        const WindowWork::Window window = c.windows.tightest(kGridMargin);
        const SizeBound bound{c.phase.pool, c.phase.name(),
                              window.work / static_cast<double>(pool.groups * pool.lanes),
                              window.length};
        if (!(bound.busy_seconds > 0)) continue;
        const auto same = [&](const SizeBound& b) {
            return b.pool == bound.pool && b.work == bound.work;
        };
        const auto before = std::find_if(result.bounds.begin(), result.bounds.end(), same);
        if (before == result.bounds.end()) {
            result.bounds.push_back(bound);
        } else if (bound.engines() > before->engines()) {
            *before = bound;
        }
        std::int64_t& least = result.least[bound.pool];
        least = std::max(least, static_cast<std::int64_t>(std::ceil(bound.engines() - 1e-9)));
    }
}

}  // namespace

SizeBounds bound_sizes(const ClusterSpec& spec, const ServicePromise& promise, const Open& open) {
    SizeBounds result;
    result.least.assign(spec.pools.size(), 1);
    if (open().after) return result;
    const Survey s = survey(spec, open);
    result.requests = s.lengths.requests;
    const std::vector<Deadline> promised = deadlines(promise, s.lengths.requests);
    const auto n = static_cast<double>(s.lengths.requests);
    const auto fitting = static_cast<double>(s.lengths.requests - s.lengths.not_fitting);
    if (fitting < promise.attainment * n - 1e-9) {
        result.impossible = fmt::format(
            "{} of {} requests do not fit into the KV cache of an attention group, and {:g} % must "
            "end; more engines do not help",
            s.lengths.not_fitting, s.lengths.requests, 100 * promise.attainment);
        return result;
    }
    for (const Deadline& deadline : promised) {
        result.impossible = why_impossible(spec, deadline, s.lengths);
        if (!result.impossible.empty()) return result;
    }
    bound_capacity(spec, promised, s, open, result);
    return result;
}

}  // namespace orrery
