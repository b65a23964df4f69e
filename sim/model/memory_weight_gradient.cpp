// Between an input-gradient pass and a weight-gradient pass that a schedule runs later, a linear
// layer Y = X W^T of T rows holds X and dY in the precision of its weight-gradient GEMM:
//     cached(T, in) + cached(T, out),   X once for layers that share it
// Rows are T tokens, the expert rows R, or t where a rank projects its own tokens only (q_a, kv_a
// of latent attention and the router). Everything else the backward pass needed is free by then.

#include "model/memory.hpp"
#include "model/memory_sizes.hpp"

namespace orrery {

namespace {

double operands(const MemorySizes& s, const AttentionSpec& attention,
                const std::vector<Weight>& weights, double expert_rows) {
    const ParallelPlan& plan = s.builder.plan();
    double bytes = 0;
    for (const Weight& w : weights) {
        if (!w.gemm) continue;
        const double whole = static_cast<double>(w.elements());
        const auto parts = static_cast<std::int64_t>(whole / weight_on_rank(plan, attention, w));
        const bool expert = w.split == WeightSplit::expert;
        const std::int64_t tensor_parts = expert ? plan.tp : parts;
        const std::int64_t in = w.splits_input ? ceil_div(w.columns, tensor_parts) : w.columns;
        const std::int64_t out = w.splits_input ? w.rows : ceil_div(w.rows, tensor_parts);
        const double rows = expert                          ? expert_rows
                            : w.split == WeightSplit::whole ? s.own_tokens
                                                            : s.tokens;
        const auto kept = [&](std::int64_t columns) {
            return w.quantized ? s.cached(rows, columns) : tensor_bytes(rows, columns);
        };
        bytes += kept(out) + (w.shares_input ? 0 : kept(in));
    }
    return bytes;
}

double layer_operands(const MemorySizes& s, const ModelSpec& model, const LayerSpec& layer) {
    const double rows = layer.moe ? static_cast<double>(s.experts(*layer.moe).rows) : 0;
    return operands(s, layer.attention, layer_weights(model, layer), rows);
}

}  // namespace

Bytes stage_weight_gradient_operands(const ModelSpec& model, const ParallelPlan& plan,
                                     const StageLayout& stage, const BatchShape& batch) {
    const MemorySizes s(model, plan, batch);
    double bytes = 0;
    for (const std::int32_t index : stage.layers) {
        bytes += layer_operands(s, model, model.layers.at(static_cast<std::size_t>(index)));
    }
    double heads = stage.head ? 1 : 0;
    if (model.mtp_layer) {
        const auto modules = static_cast<double>(stage.mtp_modules);
        bytes += modules * (layer_operands(s, model, *model.mtp_layer) +
                            operands(s, model.mtp_layer->attention, mtp_module_weights(model), 0));
        heads += modules;
    }
    // The head: its input and the gradient of the logits, in BF16.
    const std::int64_t logits = s.per_tensor_rank(model.vocabulary);
    return Bytes(bytes + heads * tensor_bytes(s.tokens, model.hidden + logits));
}

}  // namespace orrery
