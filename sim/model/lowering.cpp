#include "model/lowering.hpp"

#include <iterator>
#include <utility>

#include "model/lowering_blocks.hpp"

// A layer's passes, put together from its blocks. The residual stream is added where the next norm
// reads it (one fused kernel, as in the traced run): the attention norm adds the outputs of the
// layer before, taken to be of this layer's kind, the MLP norm adds the attention's.

namespace orrery {

namespace {

std::vector<Phase> forward(const LayerSpec& layer, PhaseBuilder& b, const BatchShape& batch) {
    const bool shared = layer.moe && layer.moe->shared_expert_intermediate > 0;
    const int input_parts = shared ? 3 : 2;
    b.begin(PhaseKind::attention);
    if (layer.attention.mla) {
        mla_forward(b, layer.attention, batch, input_parts);
    } else {
        gqa_forward(b, layer.attention, batch, input_parts);
    }
    b.rms_norm(norm::mlp.forward, b.own_tokens(), b.hidden(), 2);
    if (layer.moe) {
        router_forward(b, *layer.moe);
        moe_forward(b, *layer.moe, batch);
    } else {
        dense_mlp_forward(b, layer.dense_intermediate);
    }
    return b.take();
}

std::vector<Phase> backward(const LayerSpec& layer, PhaseBuilder& b, const BatchShape& batch) {
    if (layer.moe) {
        moe_backward(b, *layer.moe, batch);
    } else {
        dense_mlp_backward(b, layer.dense_intermediate);
    }
    b.begin(PhaseKind::attention);
    if (layer.moe) router_backward(b, *layer.moe);
    b.rms_norm_backward(norm::mlp, b.own_tokens(), b.hidden(), 3);
    if (layer.attention.mla) {
        mla_backward(b, layer.attention, batch);
    } else {
        gqa_backward(b, layer.attention, batch);
    }
    return b.take();
}

std::vector<Phase> weight_gradients(const LayerSpec& layer, PhaseBuilder& b,
                                    const BatchShape& batch) {
    if (layer.moe) {
        moe_weight_gradients(b, *layer.moe, batch);
    } else {
        dense_mlp_weight_gradients(b, layer.dense_intermediate);
    }
    b.begin(PhaseKind::attention);
    if (layer.attention.mla) {
        mla_weight_gradients(b, layer.attention);
    } else {
        gqa_weight_gradients(b, layer.attention);
    }
    return b.take();
}

}  // namespace

std::vector<Phase> lower_layer(const ModelSpec& model, const LayerSpec& layer,
                               const ParallelPlan& plan, Pass pass, const BatchShape& batch) {
    // Full recomputation runs the whole forward pass again and then keeps everything it made.
    ParallelPlan effective = plan;
    if (plan.recompute.full) effective.recompute = {};
    PhaseBuilder b(effective, model, batch);
    switch (pass) {
        case Pass::forward:
            return forward(layer, b, batch);
        case Pass::backward_weight:
            return weight_gradients(layer, b, batch);
        case Pass::backward_input:
            break;
    }
    if (!plan.recompute.full) return backward(layer, b, batch);
    PhaseBuilder again(effective, model, batch);
    std::vector<Phase> phases = forward(layer, again, batch);
    std::vector<Phase> rest = backward(layer, b, batch);
    phases.insert(phases.end(), std::make_move_iterator(rest.begin()),
                  std::make_move_iterator(rest.end()));
    return phases;
}

Operator pipeline_send(const ModelSpec& model, const ParallelPlan& plan, const BatchShape& batch) {
    const PhaseBuilder b(plan, model, batch);
    return {"pipeline_send",
            Communication{.kind = CommunicationKind::send_recv,
                          .group = Group::pipeline,
                          .ranks = 2,
                          .bytes = Bytes(2.0 * static_cast<double>(b.own_tokens()) *
                                         static_cast<double>(model.hidden))}};
}

}  // namespace orrery
