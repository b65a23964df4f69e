#include "serving/iteration_time.hpp"

#include <algorithm>
#include <cmath>

#include "serving/lattice.hpp"

namespace orrery {

namespace {

constexpr int kTokenPoints = 8;  // of an axis, an octave

InferenceBatch to_batch(const Iteration& it) {
    return {it.prefill_tokens,   it.prefill_sequences, it.prefill_pairs, it.prefill_context,
            it.decode_sequences, it.decode_tokens,     it.decode_context};
}

std::int64_t half(std::int64_t n) { return (n + 1) / 2; }
// Of an odd number of prompts one is cut: both halves read its context, the second one the first
// half's keys as well.
InferenceBatch half_of(const InferenceBatch& b) {
    std::int64_t context = b.prefill_context;
    if (b.prefill_sequences % 2 == 1) {
        context += (b.prefill_context + b.prefill_tokens / 2) / b.prefill_sequences;
    }
    return {half(b.prefill_tokens), half(b.prefill_sequences), half(b.prefill_pairs),
            half(context),          half(b.decode_sequences),  half(b.decode_tokens),
            half(b.decode_context)};
}

MoeLayerTimes layer_times(const LinearTimes& linear, const PhaseTime& core, bool low_latency) {
    MoeLayerTimes result;
    result.in = linear.in;
    result.core = core;
    result.out = linear.out;
    result.shared = linear.mlp;
    result.experts = linear.experts;
    result.dispatch = linear.dispatch;
    result.combine = linear.combine;
    result.send = result.receive = linear.kernel;
    result.low_latency = low_latency;
    return result;
}

// The single batch of moe_layers_time() in closed form; without an all-to-all all transfers are 0.
double single_layer(const MoeLayerTimes& t) {
    const double compute = t.in.alone() + t.core.alone() + t.out.alone() + t.experts.alone();
    if (!t.low_latency) return compute + t.shared.alone() + t.dispatch + t.combine;
    return compute + std::max(t.shared.alone(), t.dispatch) + t.combine + 2 * (t.send + t.receive);
}

}  // namespace

IterationTime::IterationTime(EngineSpec spec, std::shared_ptr<const OperatorTimeModel> compute)
    : spec_(std::make_unique<const EngineSpec>(std::move(spec))),
      compute_(compute ? std::move(compute)
                       : std::make_shared<const OperatorTimeModel>(spec_->accelerator)),
      costs_(*spec_, *compute_) {}

IterationTime::Load IterationTime::Load::with(const InferenceBatch& part) const {
    const auto all = static_cast<double>(batch.tokens()), some = static_cast<double>(part.tokens());
    return {part, some, mean * some / all, fullest * some / all};
}

// As many tokens more than the half as the slowest group's has by rounding.
IterationTime::Load IterationTime::Load::half() const {
    const InferenceBatch part = half_of(batch);
    const auto some = static_cast<double>(part.tokens());
    const double more = some - tokens / 2;
    return {part, some, mean / 2 + more, fullest / 2 + more};
}

IterationTime::Load IterationTime::load_of(const EngineIteration& it) const {
    const auto number = [](std::int64_t n) { return static_cast<double>(n); };
    Load load{to_batch(it.slowest), number(it.slowest.tokens()), number(it.mean_tokens),
              number(it.fullest_tokens)};
    if (!spec_->plan.all_to_all()) load.mean = load.fullest = load.tokens;
    return load;
}

// Groups that never meet each run as what they are.
Regime IterationTime::regime_of(const Iteration& slowest, bool prompts) const {
    const bool together = spec_->plan.all_to_all();
    return slowest.prefill_tokens > 0 || (together && prompts) ? Regime::prefill : Regime::decode;
}

bool IterationTime::low_latency(std::size_t kind, Regime regime) const {
    return costs_.kinds()[kind].layer.moe && spec_->plan.all_to_all() && regime == Regime::decode &&
           spec_->low_latency_decode;
}

bool IterationTime::may_overlap(const InferenceBatch& batch) const {
    return spec_->overlap != Overlap::none && spec_->plan.all_to_all() &&
           batch.prefill_tokens + batch.decode_sequences >= 2;
}

LinearTimes IterationTime::own(std::size_t kind, Regime regime, double tokens, bool overlapped,
                               bool exact) {
    if (exact) return costs_.own(kind, regime, std::llround(std::ceil(tokens)), overlapped);
    return read_lattice(std::array{step_cell(tokens)}, [&](const std::array<std::int64_t, 1>& at) {
        return costs_.own(kind, regime, at[0], overlapped);
    });
}

LinearTimes IterationTime::linear(std::size_t kind, Regime regime, const Load& load,
                                  bool overlapped, bool exact) {
    LinearTimes result = own(kind, regime, load.tokens, overlapped, exact);
    if (!costs_.kinds()[kind].layer.moe) return result;
    const std::int64_t mean = std::llround(std::ceil(load.mean));
    if (exact) {
        result += costs_.experts(kind, regime, mean, overlapped);
    } else {
        result += read_lattice(std::array{step_cell(load.mean)},
                               [&](const std::array<std::int64_t, 1>& at) {
                                   return costs_.experts(kind, regime, at[0], overlapped);
                               });
    }
    const ExpertPace::Longer longer = costs_.uneven(kind, regime, mean, load.fullest / load.mean);
    result.dispatch += longer.dispatch;
    result.combine += longer.combine;
    return result;
}

MoeLayerTimes IterationTime::moe_layer(const EngineIteration& iteration, bool of_half) {
    Load load = load_of(iteration);
    const Regime regime = regime_of(iteration.slowest, iteration.prompts);
    const bool overlapped = of_half && may_overlap(load.batch);
    if (of_half) load = load.half();
    for (std::size_t kind = 0; kind < costs_.kinds().size(); ++kind) {
        if (!costs_.kinds()[kind].layer.moe) continue;
        return layer_times(linear(kind, regime, load, overlapped, true),
                           core(kind, load.batch, regime, overlapped, true),
                           regime == Regime::decode && spec_->low_latency_decode);
    }
    return {};
}

double IterationTime::core_kernel(const Iteration& iteration, bool of_half, std::size_t e) {
    InferenceBatch batch = to_batch(iteration);
    const Regime regime = regime_of(iteration, false);
    const bool overlapped = of_half && may_overlap(batch);
    if (of_half) batch = half_of(batch);
    return costs_.core_kernel(costs_.kinds().size() - 1, batch, regime, overlapped).seconds[e];
}

double IterationTime::half_layer(const EngineIteration& iteration) {
    const MoeLayerTimes times = moe_layer(iteration, true);
    constexpr std::int64_t kFew = 4, kMany = 24;
    return (moe_layers_time(times, kMany, 2) - moe_layers_time(times, kFew, 2)) /
           static_cast<double>(2 * (kMany - kFew));
}

double IterationTime::layers_single(const Load& load, Regime regime, bool exact) {
    double sum = 0;
    for (std::size_t kind = 0; kind < costs_.kinds().size(); ++kind) {
        const LayerKind& layers = costs_.kinds()[kind];
        if (layers.count == 0) continue;
        const MoeLayerTimes times =
            layer_times(linear(kind, regime, load, false, exact),
                        core(kind, load.batch, regime, false, exact), low_latency(kind, regime));
        sum += static_cast<double>(layers.count) * single_layer(times);
    }
    return sum;
}

double IterationTime::layers_two(const Load& load, Regime regime, bool exact) {
    const Load part = load.half();
    double sum = 0;
    for (std::size_t kind = 0; kind < costs_.kinds().size(); ++kind) {
        const LayerKind& layers = costs_.kinds()[kind];
        if (layers.count == 0) continue;
        if (!layers.layer.moe) {
            sum += static_cast<double>(layers.count) *
                   single_layer(layer_times(linear(kind, regime, load, false, exact),
                                            core(kind, load.batch, regime, false, exact), false));
            continue;
        }
        const MoeLayerTimes times =
            layer_times(linear(kind, regime, part, true, exact),
                        core(kind, part.batch, regime, true, exact), low_latency(kind, regime));
        sum += exact ? moe_layers_time(times, layers.count, 2)
                     : quick_moe_layers_time(times, layers.count, 2);
    }
    return sum;
}

template <class Cost>
double IterationTime::outside_table(int what, Regime regime, double x, bool exact,
                                    const Cost& cost) {
    if (x <= 0) return 0;
    if (exact) return cost(std::llround(std::ceil(x)));
    return read_lattice(std::array{axis_cell(x, kTokenPoints)},
                        [&](const std::array<std::int64_t, 1>& at) {
                            const auto [it, added] = outside_.try_emplace({what, regime, at[0]});
                            if (added) it->second = cost(at[0]);
                            return it->second;
                        });
}

double IterationTime::head(Regime regime, double rows, bool exact) {
    return outside_table(0, regime, rows, exact,
                         [&](std::int64_t n) { return costs_.head(regime, n); });
}

// Embedding, head, MTP module and messages.
double IterationTime::outside(const Load& load, Regime regime, IterationParts& parts, bool exact) {
    const InferenceBatch& batch = load.batch;
    parts.head = head(regime, static_cast<double>(batch.sampled()), exact);
    parts.other = outside_table(1, regime, load.tokens, exact,
                                [&](std::int64_t n) { return costs_.embedding(regime, n); });
    if (spec_->plan.pp > 1) {
        parts.other += static_cast<double>(spec_->plan.pp - 1) *
                       outside_table(2, regime, load.tokens, exact,
                                     [&](std::int64_t n) { return costs_.send(n); });
    }
    if (!costs_.has_mtp_kind()) return parts.head + parts.other;
    const std::size_t kind = costs_.kinds().size() - 1;
    Load draft = load;
    for (std::int64_t pass = 0; pass < spec_->draft_tokens; ++pass) {
        if (draft.tokens == 0) break;
        parts.mtp += outside_table(3, regime, draft.tokens, exact,
                                   [&](std::int64_t n) { return costs_.mtp_front(regime, n); });
        parts.mtp += single_layer(layer_times(linear(kind, regime, draft, false, exact),
                                              core(kind, draft.batch, regime, false, exact),
                                              low_latency(kind, regime)));
        const std::int64_t rows = draft.batch.decode_sequences + draft.batch.prefill_sequences;
        parts.mtp += head(regime, static_cast<double>(rows), exact);
        draft = load.with({.decode_sequences = batch.decode_sequences,
                           .decode_tokens = batch.decode_sequences,
                           .decode_context = batch.decode_context});
    }
    return parts.head + parts.other + parts.mtp;
}

// Kernels that the CPU launches one by one.
double IterationTime::launches(double tokens, Regime regime, bool two, bool exact) {
    if (regime == Regime::decode) return 0;
    double sum = 0;
    for (std::size_t kind = 0; kind < costs_.kinds().size(); ++kind) {
        const LayerKind& layers = costs_.kinds()[kind];
        const double batches = two && layers.layer.moe ? 2 : 1;
        sum += batches * static_cast<double>(layers.count) *
               own(kind, regime, tokens, false, exact).launches;
    }
    return sum;
}

IterationParts IterationTime::work_out(const EngineIteration& iteration, bool exact) {
    const Load load = load_of(iteration);
    IterationParts parts;
    if (load.tokens == 0) return parts;
    const Regime regime = regime_of(iteration.slowest, iteration.prompts);
    const double around = outside(load, regime, parts, exact);
    const bool can = may_overlap(load.batch);
    parts.layers = 0;
    if (!can || spec_->overlap == Overlap::automatic) {
        parts.layers = layers_single(load, regime, exact);
        parts.single = parts.layers + around;
    }
    if (can) {
        const double two = layers_two(load, regime, exact);
        parts.two_batch = two + around;
        if (parts.single == 0 || parts.two_batch < parts.single) {
            parts.overlapped = true;
            parts.layers = two;
        }
    }
    parts.total = parts.overlapped ? parts.two_batch : parts.single;
    const double host =
        spec_->launch_time.value.value() * launches(load.tokens, regime, parts.overlapped, exact);
    if (host > parts.total) {
        parts.launch_bound = true;
        parts.total = host;
    }
    return parts;
}

SimDuration IterationTime::own_time(const Iteration& group, bool prompts) {
    const Load load = load_of(group);
    if (load.tokens == 0) return {};
    const Regime regime = regime_of(group, prompts);
    double sum = head(regime, static_cast<double>(load.batch.sampled()), false);
    for (std::size_t kind = 0; kind < costs_.kinds().size(); ++kind) {
        const bool drafts = costs_.has_mtp_kind() && kind + 1 == costs_.kinds().size();
        const std::int64_t layers = drafts ? spec_->draft_tokens : costs_.kinds()[kind].count;
        const LinearTimes times = spec_->plan.all_to_all()
                                      ? own(kind, regime, load.tokens, false, false)
                                      : linear(kind, regime, load, false, false);
        sum += static_cast<double>(layers) *
               (times.in.alone() + core(kind, load.batch, regime, false, false).alone() +
                times.out.alone() + times.mlp.alone() + times.experts.alone());
    }
    return to_sim_duration(Seconds(sum));
}

SimDuration IterationTime::time(const EngineIteration& iteration) {
    return to_sim_duration(Seconds(work_out(iteration, false).total));
}

SimDuration IterationTime::direct(const EngineIteration& iteration) {
    return to_sim_duration(Seconds(work_out(iteration, true).total));
}

IterationParts IterationTime::parts(const EngineIteration& iteration) {
    const IterationParts result = work_out(iteration, true);
    costs_.prices().check_all_priced();
    return result;
}

}  // namespace orrery
