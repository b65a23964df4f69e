#include "serving/layer_costs.hpp"

#include <algorithm>
#include <string_view>

namespace orrery {

namespace {

bool same_kind(const LayerSpec& a, const LayerSpec& b) {
    return a.moe.has_value() == b.moe.has_value() && a.dense_intermediate == b.dense_intermediate &&
           a.attention.sliding_window == b.attention.sliding_window;
}

double sum(const PhaseTime& time) { return time.alone(); }

}  // namespace

std::vector<LayerKind> layer_kinds(const ModelSpec& model) {
    std::vector<LayerKind> kinds;
    for (const LayerSpec& layer : model.layers) {
        auto at = std::find_if(kinds.begin(), kinds.end(),
                               [&](const LayerKind& k) { return same_kind(k.layer, layer); });
        if (at == kinds.end()) at = kinds.insert(kinds.end(), {layer, 0});
        ++at->count;
    }
    return kinds;
}

LinearTimes& LinearTimes::operator+=(const LinearTimes& other) {
    in += other.in;
    out += other.out;
    mlp += other.mlp;
    experts += other.experts;
    dispatch += other.dispatch;
    combine += other.combine;
    kernel += other.kernel;
    launches += other.launches;
    return *this;
}

LinearTimes LinearTimes::operator*(double factor) const {
    LinearTimes result = *this;
    for (PhaseTime* phase : {&result.in, &result.out, &result.mlp, &result.experts}) {
        for (double& seconds : phase->seconds) seconds *= factor;
    }
    for (double* value : {&result.dispatch, &result.combine, &result.kernel, &result.launches}) {
        *value *= factor;
    }
    return result;
}

LayerCosts::LayerCosts(const EngineSpec& spec, const OperatorTimeModel& compute)
    : spec_(spec), prices_(spec, compute), kinds_(layer_kinds(spec.model)) {
    if (spec.draft_tokens > 0 && spec.model.mtp_layer) {
        has_mtp_ = true;
        kinds_.push_back({*spec.model.mtp_layer, 0});
    }
}

Seconds LayerCosts::gap(Regime regime) const {
    return regime == Regime::decode ? spec_.graph_gap.value : spec_.accelerator.launch_gap.value;
}

ExpertPace& LayerCosts::pace_of(std::size_t kind, Regime regime) {
    return paces_.try_emplace({kind, regime}, spec_, *kinds_[kind].layer.moe, low_latency(regime))
        .first->second;
}

ExpertPaceAt LayerCosts::pace(std::size_t kind, Regime regime, std::int64_t tokens) {
    return pace_of(kind, regime).at(tokens);
}

PhaseConditions LayerCosts::conditions(std::size_t kind, Regime regime, std::int64_t tokens,
                                       bool overlapped) {
    PhaseConditions result;
    result.gap = gap(regime);
    result.decoding = regime == Regime::decode;
    const bool holds =
        overlapped && kinds_[kind].layer.moe && spec_.plan.all_to_all() && !low_latency(regime);
    if (!holds) return result;
    const ExpertPaceAt at = pace(kind, regime, tokens);
    result.held_sms = spec_.communication_sms;
    result.dispatch_traffic = Bytes(at.dispatch_bytes) / Seconds(at.dispatch);
    result.combine_traffic = Bytes(at.combine_bytes) / Seconds(at.combine);
    return result;
}

LinearTimes LayerCosts::own(std::size_t kind, Regime regime, std::int64_t tokens, bool overlapped) {
    tokens = std::max<std::int64_t>(1, tokens);
    const auto [it, added] = own_.try_emplace({kind, regime, tokens, overlapped});
    if (!added) return it->second;
    const InferencePlan plan = plan_for(spec_.plan, low_latency(regime));
    // Core attention apart: one token of decoding stands in and is left out, as are experts.
    InferenceBatch batch;
    batch.decode_tokens = batch.decode_sequences = batch.decode_context = tokens;
    const InferenceLayer lowered =
        lower_inference_layer(spec_.model, kinds_[kind].layer, plan, batch, {}, {});
    const PhaseConditions at = conditions(kind, regime, tokens, overlapped);
    LinearTimes& result = it->second;
    result.in = prices_.price(lowered.attention_in, at);
    result.out = prices_.price(lowered.attention_out, at);
    result.mlp = prices_.price(lowered.mlp, at);
    std::int64_t launches = 0;
    for (const auto* list : {&lowered.attention_in, &lowered.core, &lowered.attention_out,
                             &lowered.mlp, &lowered.experts}) {
        launches += KernelPrices::launches(*list);
    }
    result.launches = static_cast<double>(launches + (lowered.all_to_all ? 4 : 0));
    return result;
}

LinearTimes LayerCosts::experts(std::size_t kind, Regime regime, std::int64_t tokens,
                                bool overlapped) {
    const LayerSpec& layer = kinds_[kind].layer;
    if (!layer.moe) return {};
    tokens = std::max<std::int64_t>(1, tokens);
    const auto [it, added] = experts_.try_emplace({kind, regime, tokens, overlapped});
    if (!added) return it->second;
    const InferencePlan plan = plan_for(spec_.plan, low_latency(regime));
    const ExpertPaceAt pace = this->pace(kind, regime, tokens);
    LinearTimes& result = it->second;
    if (plan.all_to_all()) {
        result.dispatch = pace.dispatch + pace.notify;
        result.combine = pace.combine + pace.notify;
        result.kernel = pace.kernel;
        prices_.note("expert all-to-all", "collective/expert_all_to_all.hpp", pace.origin, 0);
    }
    result.experts =
        prices_.price(lower_routed_experts(spec_.model, layer, plan, tokens, pace.load),
                      conditions(kind, regime, tokens, overlapped));
    return result;
}

ExpertPace::Longer LayerCosts::uneven(std::size_t kind, Regime regime, std::int64_t mean,
                                      double fullest) {
    if (fullest <= 1 || !kinds_[kind].layer.moe) return {};
    ExpertPace& pace = pace_of(kind, regime);
    return pace.uneven(pace.at(std::max<std::int64_t>(1, mean)), fullest);
}

PhaseTime LayerCosts::prefill_core(std::size_t kind, const InferenceBatch& batch, bool overlapped) {
    const PhaseConditions at = conditions(kind, Regime::prefill, batch.tokens(), overlapped);
    const LayerSpec& layer = kinds_[kind].layer;
    const auto of = [&](AttentionForm form) {
        return prices_.price(lower_prefill_core(layer, spec_.plan, batch, form), at);
    };
    PhaseTime best = of(AttentionForm::expanded);
    if (layer.attention.mla) {
        const PhaseTime absorbed = of(AttentionForm::absorbed);
        if (sum(absorbed) < sum(best)) best = absorbed;
    }
    return best;
}

PhaseTime LayerCosts::decode_core(std::size_t kind, const InferenceBatch& batch, Regime regime,
                                  bool overlapped) {
    const PhaseConditions at = conditions(kind, regime, batch.tokens(), overlapped);
    const LayerSpec& layer = kinds_[kind].layer;
    const auto of = [&](AttentionForm form) {
        return prices_.price(lower_decode_core(layer, spec_.plan, batch, form), at);
    };
    PhaseTime best = of(AttentionForm::absorbed);
    if (layer.attention.mla) {
        const PhaseTime expanded = of(AttentionForm::expanded);
        if (sum(expanded) < sum(best)) best = expanded;
    }
    return best;
}

AttentionForms LayerCosts::forms(std::size_t kind, const InferenceBatch& batch) {
    const LayerSpec& layer = kinds_[kind].layer;
    if (!layer.attention.mla) return {AttentionForm::expanded, AttentionForm::expanded};
    const auto faster = [&](const auto& lower) {
        const PhaseConditions at{.gap = gap(Regime::prefill),
                                 .decoding = batch.prefill_tokens == 0};
        const double expanded = sum(prices_.price(lower(AttentionForm::expanded), at));
        const double absorbed = sum(prices_.price(lower(AttentionForm::absorbed), at));
        return absorbed < expanded ? AttentionForm::absorbed : AttentionForm::expanded;
    };
    return {
        faster([&](AttentionForm f) { return lower_prefill_core(layer, spec_.plan, batch, f); }),
        faster([&](AttentionForm f) { return lower_decode_core(layer, spec_.plan, batch, f); })};
}

PhaseTime LayerCosts::core_kernel(std::size_t kind, const InferenceBatch& batch, Regime regime,
                                  bool overlapped) {
    const LayerSpec& layer = kinds_[kind].layer;
    const AttentionForms chosen = forms(kind, batch);
    std::vector<Operator> kernels = lower_prefill_core(layer, spec_.plan, batch, chosen.prefill);
    for (const Operator& op : lower_decode_core(layer, spec_.plan, batch, chosen.decode)) {
        kernels.push_back(op);
    }
    std::erase_if(kernels,
                  [](const Operator& op) { return std::string_view(op.name) != "core_attention"; });
    PhaseConditions at = conditions(kind, regime, batch.tokens(), overlapped);
    at.gap = Seconds(0);
    return prices_.price(kernels, at);
}

double LayerCosts::total(const std::vector<Operator>& operators, Regime regime) {
    return sum(
        prices_.price(operators, {.gap = gap(regime), .decoding = regime == Regime::decode}));
}

double LayerCosts::embedding(Regime regime, std::int64_t tokens) {
    return total(lower_inference_embedding(spec_.model, spec_.plan, tokens), regime);
}

double LayerCosts::head(Regime regime, std::int64_t rows) {
    if (rows == 0) return 0;
    return total(lower_inference_head(spec_.model, spec_.plan, rows), regime);
}

double LayerCosts::mtp_front(Regime regime, std::int64_t tokens) {
    return total(lower_inference_mtp(spec_.model, spec_.plan, tokens), regime);
}

double LayerCosts::send(std::int64_t tokens) {
    if (spec_.plan.pp == 1) return 0;
    return prices_.communication(inference_send(spec_.model, spec_.plan, tokens)).value();
}

}  // namespace orrery
