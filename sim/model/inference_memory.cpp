#include "model/inference_memory.hpp"

#include <algorithm>

#include "model/lowering_builder.hpp"
#include "model/weights.hpp"

namespace orrery {

namespace {

double number(std::int64_t n) { return static_cast<double>(n); }

bool stored_small(const Weight& w) { return w.gemm && w.quantized; }

double stored_bytes(const Weight& w, Precision precision) {
    const double element =
        stored_small(w) ? weight_element_bytes(precision, w.rows, w.columns) : 2.0;
    return element * number(w.elements());
}

// Share of a weight that one rank holds.
double share_on_rank(const Weight& w, const AttentionSpec& attention, const InferencePlan& plan,
                     const MoeSpec* moe, std::int64_t slots) {
    switch (w.split) {
        case WeightSplit::whole:
            return 1;
        case WeightSplit::tensor:
            if (w.part == WeightPart::shared_experts && plan.all_to_all()) return 1;
            return 1 / number(plan.tp);
        case WeightSplit::tensor_by_groups:
            return 1 / number(std::min(plan.tp, attention.kv_heads));
        case WeightSplit::expert: {
            const double held = number(ceil_div(std::max(slots, moe->experts), plan.ep));
            const double parts = plan.all_to_all() ? 1 : number(plan.tp / plan.ep);
            return held / number(moe->experts) / parts;
        }
    }
    return 1;
}

double sum_on_rank(const std::vector<Weight>& weights, const AttentionSpec& attention,
                   const InferencePlan& plan, const MoeSpec* moe, std::int64_t slots) {
    double sum = 0;
    for (const Weight& w : weights) {
        sum += stored_bytes(w, plan.precision) * share_on_rank(w, attention, plan, moe, slots);
    }
    return sum;
}

double layer_on_rank(const ModelSpec& model, const LayerSpec& layer, const InferencePlan& plan,
                     std::int64_t slots) {
    return sum_on_rank(layer_weights(model, layer), layer.attention, plan,
                       layer.moe ? &*layer.moe : nullptr, slots);
}

double absorbed_copies(const LayerSpec& layer, const InferencePlan& plan) {
    if (!layer.attention.mla || plan.precision == Precision::bf16) return 0;
    const MlaSpec& mla = *layer.attention.mla;
    return 2 * number(ceil_div(layer.attention.heads, plan.tp) *
                      (mla.qk_nope_head_dim + mla.v_head_dim) * mla.kv_lora_rank);
}

// Layers of a stage, cut evenly, the remainder on the first ones.
std::pair<std::size_t, std::size_t> stage_layers(const ModelSpec& model, const InferencePlan& plan,
                                                 std::int64_t stage) {
    const auto n = static_cast<std::int64_t>(model.layers.size());
    const std::int64_t each = n / plan.pp, more = n % plan.pp;
    const std::int64_t first = stage * each + std::min(stage, more);
    return {static_cast<std::size_t>(first),
            static_cast<std::size_t>(first + each + (stage < more ? 1 : 0))};
}

struct StageWeights {
    double weights = 0, absorbed = 0;
};
StageWeights stage_weights(const ModelSpec& model, const InferencePlan& plan, std::int64_t stage,
                           const InferenceLimits& limits) {
    StageWeights sum;
    const AttentionSpec& any = model.layers.front().attention;
    const auto [first, last] = stage_layers(model, plan, stage);
    const bool begins = stage == 0, ends = stage == plan.pp - 1;
    if (begins || (ends && model.tied_embeddings)) {
        sum.weights += sum_on_rank(embedding_weights(model), any, plan, nullptr, 0);
    }
    if (ends) sum.weights += sum_on_rank(head_weights(model), any, plan, nullptr, 0);
    for (std::size_t i = first; i < last; ++i) {
        sum.weights += layer_on_rank(model, model.layers[i], plan, limits.slots);
        sum.absorbed += absorbed_copies(model.layers[i], plan);
    }
    if (ends && limits.drafts && model.mtp_layer) {
        sum.weights += sum_on_rank(mtp_module_weights(model), any, plan, nullptr, 0);
        sum.weights += layer_on_rank(model, *model.mtp_layer, plan, limits.slots);
        sum.absorbed += absorbed_copies(*model.mtp_layer, plan);
        if (!begins) sum.weights += sum_on_rank(embedding_weights(model), any, plan, nullptr, 0);
    }
    return sum;
}

double linear_input_bytes(const InferencePlan& plan, double rows, std::int64_t columns) {
    return rows * number(columns) * (runs_in_fp8(plan.precision) ? 1 + 4.0 / 128 : 2);
}

// Input, gate and up, activation and output of an MLP over these rows.
double mlp_bytes(const InferencePlan& plan, double rows, std::int64_t hidden,
                 std::int64_t features) {
    return linear_input_bytes(plan, rows, hidden) + 2 * rows * number(2 * features) +
           linear_input_bytes(plan, rows, features) + 2 * rows * number(hidden);
}

double attention_bytes(const LayerSpec& layer, const InferencePlan& plan, std::int64_t tokens) {
    const AttentionSpec& a = layer.attention;
    const double heads = number(ceil_div(a.heads, plan.tp));
    const double value = number(a.mla ? a.mla->v_head_dim : a.head_dim);
    const double keys = a.mla ? heads : number(ceil_div(a.kv_heads, plan.tp));
    return 2 * number(tokens) *
           (heads * number(a.head_dim) + keys * (number(a.head_dim) + value) + heads * value);
}

double experts_bytes(const ModelSpec& model, const LayerSpec& layer, const InferencePlan& plan,
                     const InferenceLimits& limits, std::int64_t tokens, bool low_latency) {
    if (!layer.moe) {
        return mlp_bytes(plan, number(tokens), model.hidden,
                         ceil_div(layer.dense_intermediate, plan.tp));
    }
    const MoeSpec& moe = *layer.moe;
    const std::int64_t parts = plan.all_to_all() ? 1 : plan.tp / plan.ep;
    const ExpertLoad load = balanced_load(plan, moe, tokens, limits.slots);
    double rows = number(load.rows);
    if (low_latency && plan.all_to_all()) {
        rows = number(load.experts * plan.ep * ceil_div(tokens, plan.tp));
    }
    return mlp_bytes(plan, rows, model.hidden, ceil_div(moe.expert_intermediate, parts));
}

double iteration_bytes(const ModelSpec& model, const InferencePlan& plan,
                       const InferenceLimits& limits, std::int64_t tokens, std::int64_t sampled,
                       bool low_latency) {
    double largest = 6 * number(sampled) * number(ceil_div(model.vocabulary, plan.tp));
    for (const LayerSpec& layer : model.layers) {
        largest = std::max({largest, attention_bytes(layer, plan, tokens),
                            experts_bytes(model, layer, plan, limits, tokens, low_latency)});
    }
    return 4 * number(tokens) * number(model.hidden) + largest;
}

const MoeSpec* any_moe(const ModelSpec& model) {
    for (const LayerSpec& layer : model.layers) {
        if (layer.moe) return &*layer.moe;
    }
    return nullptr;
}

double exchange_bytes(const ModelSpec& model, const InferencePlan& plan,
                      const InferenceLimits& limits) {
    const MoeSpec* moe = any_moe(model);
    if (moe == nullptr || !plan.all_to_all()) return 0;
    double normal = 0, low = 0;
    if (limits.prefill_tokens > 0 || !limits.low_latency) {
        normal = deepep_staging_bytes(plan.ep, model.hidden).value();
    }
    if (limits.low_latency && limits.decode_tokens > 0) {
        const double slots = number(std::max(limits.slots, moe->experts));
        const double tokens = number(ceil_div(limits.decode_tokens, plan.tp));
        const double message = number(model.hidden) * (1 + 4.0 / 128) + 16;
        low = 2 * slots * tokens * (message + 2 * number(model.hidden));
    }
    return normal + low;
}

}  // namespace

double weight_element_bytes(Precision precision, std::int64_t rows, std::int64_t columns) {
    const double elements = number(rows) * number(columns);
    switch (precision) {
        case Precision::bf16:
            return 2;
        case Precision::fp8_tensor:
            return 1;
        case Precision::fp8_block:
            return 1 + 4 * number(ceil_div(rows, 128) * ceil_div(columns, 128)) / elements;
        case Precision::int8_weight:
            return 1 + 2 * number(rows) / elements;
        case Precision::int4_weight:
            return 0.5 + 2 * number(rows * ceil_div(columns, 128)) / elements;
    }
    return 2;
}

Bytes inference_weights(const ModelSpec& model, Precision precision, bool drafts) {
    double sum = 0;
    const auto add = [&](const std::vector<Weight>& weights) {
        for (const Weight& w : weights) sum += stored_bytes(w, precision);
    };
    add(embedding_weights(model));
    add(head_weights(model));
    for (const LayerSpec& layer : model.layers) add(layer_weights(model, layer));
    if (drafts && model.mtp_layer) {
        add(mtp_module_weights(model));
        add(layer_weights(model, *model.mtp_layer));
    }
    return Bytes(sum);
}

std::vector<MemoryItem> inference_memory(const ModelSpec& model, const InferencePlan& plan,
                                         const InferenceLimits& limits) {
    StageWeights most;
    for (std::int64_t stage = 0; stage < plan.pp; ++stage) {
        const StageWeights at = stage_weights(model, plan, stage, limits);
        if (at.weights + at.absorbed > most.weights + most.absorbed) most = at;
    }
    const double prefill =
        iteration_bytes(model, plan, limits, limits.prefill_tokens, limits.prompts, false);
    const double decode = iteration_bytes(model, plan, limits, limits.decode_tokens,
                                          limits.decode_tokens, limits.low_latency);
    std::vector<MemoryItem> items;
    const auto add = [&](const char* name, double bytes, Provenance from) {
        if (bytes > 0) items.push_back({name, Bytes(bytes), std::move(from)});
    };
    add("weights", most.weights, {Origin::derived, "counted from the model and the plan"});
    add("absorbed projections", most.absorbed,
        {Origin::assumed, "kept in BF16 beside the quantized up-projections"});
    add("activations", std::max(prefill, decode),
        {Origin::assumed, "operands and results of the largest block, taken to be alive at once"});
    add("all-to-all buffers", exchange_bytes(model, plan, limits),
        {Origin::published,
         "deepseek-ai/DeepEP csrc/config.hpp and deep_ep/buffer.py: sizes of "
         "its buffers at default configurations"});
    return items;
}

double kv_bytes_on_rank(const ModelSpec& model, const InferencePlan& plan, bool drafts) {
    const auto of = [&](const AttentionSpec& a) {
        const double element = number(plan.key_value_bits) / 8;
        if (!a.mla) {
            const std::int64_t heads = ceil_div(a.kv_heads, std::min(plan.tp, a.kv_heads));
            return 2 * element * number(heads * a.head_dim);
        }
        const double indexer = a.mla->index_heads > 0 ? number(a.mla->index_head_dim) + 4 : 0;
        return element * number(a.mla->kv_lora_rank + a.mla->qk_rope_head_dim) + indexer;
    };
    double most = 0;
    for (std::int64_t stage = 0; stage < plan.pp; ++stage) {
        const auto [first, last] = stage_layers(model, plan, stage);
        double sum = 0;
        for (std::size_t i = first; i < last; ++i) sum += of(model.layers[i].attention);
        if (drafts && model.mtp_layer && stage == plan.pp - 1) {
            sum += of(model.mtp_layer->attention);
        }
        most = std::max(most, sum);
    }
    return most;
}

}  // namespace orrery
