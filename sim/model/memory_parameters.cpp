// Parameters of stages on one rank: sums over the list of weights, each divided as its split says.

#include <algorithm>

#include "model/memory.hpp"

namespace orrery {

namespace {

void add(StageParameters& sum, const ParallelPlan& plan, const AttentionSpec& attention,
         const std::vector<Weight>& weights) {
    for (const Weight& w : weights) {
        const double elements = weight_on_rank(plan, attention, w);
        (w.split == WeightSplit::expert ? sum.expert : sum.dense) += elements;
        if (w.quantized && w.gemm) sum.linear += elements;
    }
}

// Embedding and head are split by the vocabulary; no attention is asked for that.
void add_outer(StageParameters& sum, const ModelSpec& model, const ParallelPlan& plan,
               const std::vector<Weight>& weights) {
    add(sum, plan, model.layers.front().attention, weights);
}

}  // namespace

double weight_on_rank(const ParallelPlan& plan, const AttentionSpec& attention,
                      const Weight& weight) {
    std::int64_t parts = 1;
    switch (weight.split) {
        case WeightSplit::whole:
            break;
        case WeightSplit::tensor:
            parts = plan.tp;
            break;
        case WeightSplit::tensor_by_groups:
            parts = std::min(plan.tp, attention.kv_heads);
            break;
        case WeightSplit::expert:
            parts = plan.ep * plan.tp;
            break;
    }
    return static_cast<double>(weight.elements()) / static_cast<double>(parts);
}

StageParameters stage_parameters(const ModelSpec& model, const ParallelPlan& plan,
                                 const StageLayout& stage) {
    StageParameters sum;
    if (stage.embedding) add_outer(sum, model, plan, embedding_weights(model));
    for (const std::int32_t index : stage.layers) {
        const LayerSpec& layer = model.layers.at(static_cast<std::size_t>(index));
        add(sum, plan, layer.attention, layer_weights(model, layer));
    }
    for (std::int32_t i = 0; i < stage.mtp_modules && model.mtp_layer; ++i) {
        add_outer(sum, model, plan, mtp_module_weights(model));
        add(sum, plan, model.mtp_layer->attention, layer_weights(model, *model.mtp_layer));
    }
    if (stage.head) {
        add_outer(sum, model, plan, head_weights(model));
        if (model.tied_embeddings && !stage.embedding) {
            add_outer(sum, model, plan, embedding_weights(model));
        }
    }
    return sum;
}

StageParameters rank_parameters(const ModelSpec& model, const ParallelPlan& plan,
                                const std::vector<StageLayout>& held_stages) {
    StageParameters sum;
    bool embedding = false, head = false, mtp = false;
    for (const StageLayout& stage : held_stages) {
        const StageParameters parameters = stage_parameters(model, plan, stage);
        sum.dense += parameters.dense;
        sum.expert += parameters.expert;
        sum.linear += parameters.linear;
        embedding = embedding || stage.embedding || (stage.head && model.tied_embeddings);
        head = head || stage.head;
        mtp = mtp || stage.mtp_modules > 0;
    }
    if (mtp && !embedding) add_outer(sum, model, plan, embedding_weights(model));
    if (mtp && !head) add_outer(sum, model, plan, head_weights(model));
    return sum;
}

}  // namespace orrery
