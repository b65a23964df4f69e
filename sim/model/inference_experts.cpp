// MLPs of an inference iteration: dense, shared expert, router and routed experts.

#include <algorithm>

#include "model/inference_blocks.hpp"

namespace orrery {

namespace {

double bf16(std::int64_t rows, std::int64_t columns) {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns);
}

// Activated features in the next GEMM's precision.
double activation_bytes(InferenceBuilder& b, std::int64_t rows, std::int64_t columns) {
    return b->fp8() ? b->fp8_bytes(rows, columns) : bf16(rows, columns);
}

void gated(InferenceBuilder& b, const GatedMlpNames& names, std::int64_t tokens,
           std::int64_t hidden, std::int64_t features) {
    b.linear(names.gate_up, tokens, 2 * features, hidden);
    b->memory(names.swiglu, MemoryOpKind::swiglu, tokens, features, bf16(tokens, 2 * features),
              activation_bytes(b, tokens, features));
    b->gemm(names.down.forward, tokens, hidden, features);
}

void router(InferenceBuilder& b, const MoeSpec& moe, std::int64_t tokens, std::int64_t hidden) {
    b->gemm_bf16(linear::router_gate.forward, tokens, moe.experts, hidden);
    if (moe.shared_expert_gate) b->gemm_bf16(linear::shared_gate.forward, tokens, 1, hidden);
    const double chosen = 12.0 * static_cast<double>(tokens * moe.top_k);
    b->memory("router_topk", MemoryOpKind::router, tokens, moe.experts,
              2 * bf16(tokens, moe.experts), chosen, 2);
}

// Distinct ranks of a token's experts under even routing (lower_moe.cpp states the formula).
double ranks_reached(std::int64_t experts, std::int64_t ranks, std::int64_t top_k) {
    const double m = static_cast<double>(experts) / static_cast<double>(ranks);
    double missed = 1;
    for (std::int64_t i = 0; i < top_k; ++i) {
        const auto left = static_cast<double>(experts - i);
        missed *= std::max(0.0, left - m) / left;
    }
    return static_cast<double>(ranks) * (1 - missed);
}

}  // namespace

ExpertLoad balanced_load(const InferencePlan& plan, const MoeSpec& moe, std::int64_t tokens,
                         std::int64_t slots) {
    ExpertLoad load;
    load.experts = ceil_div(std::max(slots, moe.experts), plan.ep);
    // Tokens of the ranks among which the experts are shared out.
    const std::int64_t sources = plan.all_to_all() ? plan.ep / plan.tp : 1;
    const std::int64_t selections = tokens * sources * moe.top_k;
    const std::int64_t each = ceil_div(selections, load.experts * plan.ep);
    const bool packed = plan.expert_layout == GroupLayout::contiguous && plan.all_to_all();
    load.rows = packed ? load.experts * 128 * ceil_div(each, 128) : ceil_div(selections, plan.ep);
    const double reached = ranks_reached(moe.experts, plan.ep, moe.top_k);
    load.received = static_cast<std::int64_t>(
        static_cast<double>(tokens * sources) * reached / static_cast<double>(plan.ep) + 0.5);
    return load;
}

void lower_inference_mlp(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                         const InferencePlan& plan, std::int64_t tokens) {
    const std::int64_t t = own_tokens(plan, tokens);
    if (layer.moe) {
        const std::int64_t features = layer.moe->shared_expert_intermediate;
        if (features == 0) return;
        const std::int64_t parts = plan.all_to_all() ? 1 : plan.tp;
        gated(b, shared_expert_names(), t, model.hidden, ceil_div(features, parts));
        return;
    }
    if (plan.all_to_all()) {
        b.collective("mlp_input_all_gather", CommunicationKind::all_gather, tokens, model.hidden);
    }
    gated(b, dense_mlp_names(), tokens, model.hidden, ceil_div(layer.dense_intermediate, plan.tp));
    b.collective(
        plan.all_to_all() ? "mlp_output_reduce_scatter" : "mlp_all_reduce",
        plan.all_to_all() ? CommunicationKind::reduce_scatter : CommunicationKind::all_reduce,
        tokens, model.hidden);
}

void lower_inference_experts(InferenceBuilder& b, const ModelSpec& model, const MoeSpec& moe,
                             const InferencePlan& plan, const ExpertLoad& load,
                             std::int64_t tokens) {
    const std::int64_t hidden = model.hidden;
    const std::int64_t parts = plan.all_to_all() ? 1 : plan.tp / plan.ep;
    const std::int64_t features = ceil_div(moe.expert_intermediate, parts);
    const bool packed = plan.expert_layout == GroupLayout::contiguous;
    const auto grouped = [&](const char* name, std::int64_t n, std::int64_t k) {
        b->add(name, GroupedGemm{.groups = load.experts,
                                 .rows = load.rows,
                                 .n = n,
                                 .k = k,
                                 .precision = plan.precision,
                                 .layout = plan.expert_layout});
    };
    // Low-latency dispatch puts tokens into their experts' rows, its combine weighs and adds them.
    const bool moves = packed || !plan.all_to_all();
    if (moves) {
        const double payload = activation_bytes(b, 1, hidden);
        b->memory("permute", MemoryOpKind::permute, load.rows, hidden,
                  static_cast<double>(load.received) * payload,
                  static_cast<double>(load.rows) * payload);
    }
    grouped(linear::experts_gate_up.forward, 2 * features, hidden);
    b->memory("experts_swiglu", MemoryOpKind::swiglu, load.rows, features,
              bf16(load.rows, 2 * features), activation_bytes(b, load.rows, features));
    grouped(linear::experts_down.forward, hidden, features);
    if (moves) {
        b->memory("unpermute", MemoryOpKind::unpermute, load.rows, hidden, bf16(load.rows, hidden),
                  bf16(load.received, hidden));
    }
    if (!plan.all_to_all()) {
        b.collective("moe_all_reduce", CommunicationKind::all_reduce, tokens, hidden);
    }
}

std::vector<Operator> lower_routed_experts(const ModelSpec& model, const LayerSpec& layer,
                                           const InferencePlan& plan, std::int64_t tokens,
                                           const ExpertLoad& load) {
    InferenceBuilder b(model, plan, tokens);
    lower_inference_experts(b, model, *layer.moe, plan, load, tokens);
    return b.take();
}

InferenceLayer lower_inference_layer(const ModelSpec& model, const LayerSpec& layer,
                                     const InferencePlan& plan, const InferenceBatch& batch,
                                     const AttentionForms& forms, const ExpertLoad& load) {
    const std::int64_t tokens = batch.tokens();
    InferenceLayer result;
    result.all_to_all = layer.moe && plan.all_to_all();
    InferenceBuilder b(model, plan, tokens);
    lower_attention_in(b, model, layer, plan, tokens);
    result.attention_in = b.take();
    result.core = lower_prefill_core(layer, plan, batch, forms.prefill);
    const std::vector<Operator> decode = lower_decode_core(layer, plan, batch, forms.decode);
    result.core.insert(result.core.end(), decode.begin(), decode.end());
    lower_attention_out(b, model, layer, plan, tokens);
    if (layer.moe) {
        const std::int64_t t = own_tokens(plan, tokens);
        router(b, *layer.moe, t, model.hidden);
        // The low-latency kernel casts on its own.
        if (result.all_to_all && plan.expert_layout == GroupLayout::contiguous) {
            b->cast("dispatch.cast", t, model.hidden);
        }
    }
    result.attention_out = b.take();
    lower_inference_mlp(b, model, layer, plan, tokens);
    result.mlp = b.take();
    if (layer.moe) {
        lower_inference_experts(b, model, *layer.moe, plan, load, tokens);
        result.experts = b.take();
    }
    return result;
}

}  // namespace orrery
