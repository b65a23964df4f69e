#include "model/weights.hpp"

namespace orrery {

namespace {

using List = std::vector<Weight>;

Weight matrix(const char* name, WeightPart part, WeightSplit split, std::int64_t rows,
              std::int64_t columns) {
    return {.name = name, .part = part, .split = split, .rows = rows, .columns = columns};
}

// Norm weights and biases: no GEMM, never quantized.
Weight vector(const char* name, WeightPart part, WeightSplit split, std::int64_t rows) {
    return {.name = name,
            .part = part,
            .split = split,
            .rows = rows,
            .gemm = false,
            .quantized = false};
}

Weight in_full_precision(Weight weight) {
    weight.quantized = false;
    return weight;
}

Weight with_split_input(Weight weight) {
    weight.splits_input = true;
    return weight;
}

Weight with_same_input(Weight weight) {
    weight.shares_input = true;
    return weight;
}

Weight of_experts(Weight weight, const MoeSpec& moe) {
    weight.copies = moe.experts;
    weight.active = moe.top_k;
    return weight;
}

constexpr WeightPart attention = WeightPart::attention;
constexpr WeightSplit whole = WeightSplit::whole, tensor = WeightSplit::tensor;

void add_mla(List& list, std::int64_t hidden, const AttentionSpec& spec) {
    const MlaSpec& mla = *spec.mla;
    const std::int64_t query = spec.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
    if (mla.q_lora_rank > 0) {
        list.push_back(matrix("q_a_proj", attention, whole, mla.q_lora_rank, hidden));
        list.push_back(vector("q_a_layernorm", attention, whole, mla.q_lora_rank));
        list.push_back(matrix("q_b_proj", attention, tensor, query, mla.q_lora_rank));
    } else {
        list.push_back(matrix("q_proj", attention, tensor, query, hidden));
    }
    list.push_back(with_same_input(matrix("kv_a_proj_with_mqa", attention, whole,
                                          mla.kv_lora_rank + mla.qk_rope_head_dim, hidden)));
    list.push_back(vector("kv_a_layernorm", attention, whole, mla.kv_lora_rank));
    list.push_back(matrix("kv_b_proj", attention, tensor,
                          spec.heads * (mla.qk_nope_head_dim + mla.v_head_dim), mla.kv_lora_rank));
    list.push_back(
        with_split_input(matrix("o_proj", attention, tensor, hidden, spec.heads * mla.v_head_dim)));
    if (mla.index_heads == 0) return;
    // DeepSeek-V3.2's indexer: queries from the query latent (q_b_proj's input), one key a token
    // and a weight a head from the hidden state (q_a_proj's input). Its key norm is a LayerNorm:
    // weight and bias.
    list.push_back(with_same_input(matrix("indexer.wq_b", attention, whole,
                                          mla.index_heads * mla.index_head_dim, mla.q_lora_rank)));
    list.push_back(
        with_same_input(matrix("indexer.wk", attention, whole, mla.index_head_dim, hidden)));
    list.push_back(vector("indexer.k_norm", attention, whole, 2 * mla.index_head_dim));
    list.push_back(with_same_input(in_full_precision(
        matrix("indexer.weights_proj", attention, whole, mla.index_heads, hidden))));
}

void add_gqa(List& list, std::int64_t hidden, const AttentionSpec& spec) {
    constexpr WeightSplit groups = WeightSplit::tensor_by_groups;
    const std::int64_t query = spec.heads * spec.head_dim, key = spec.kv_heads * spec.head_dim;
    list.push_back(matrix("q_proj", attention, tensor, query, hidden));
    list.push_back(with_same_input(matrix("k_proj", attention, groups, key, hidden)));
    list.push_back(with_same_input(matrix("v_proj", attention, groups, key, hidden)));
    list.push_back(with_split_input(matrix("o_proj", attention, tensor, hidden, query)));
    if (spec.qkv_bias) {
        list.push_back(vector("q_proj.bias", attention, tensor, query));
        list.push_back(vector("k_proj.bias", attention, groups, key));
        list.push_back(vector("v_proj.bias", attention, groups, key));
    }
    if (spec.output_bias) list.push_back(vector("o_proj.bias", attention, whole, hidden));
    if (spec.qk_norm) {
        list.push_back(vector("q_norm", attention, whole, spec.head_dim));
        list.push_back(vector("k_norm", attention, whole, spec.head_dim));
    }
    if (spec.attention_sinks) list.push_back(vector("sinks", attention, tensor, spec.heads));
}

// gate, up [intermediate, hidden] and down [hidden, intermediate] of one or of several experts.
void add_gated_mlp(List& list, WeightPart part, WeightSplit split, std::int64_t hidden,
                   std::int64_t intermediate, const MoeSpec* experts) {
    const auto add = [&](const Weight& w) {
        list.push_back(experts ? of_experts(w, *experts) : w);
    };
    add(matrix("gate_proj", part, split, intermediate, hidden));
    add(with_same_input(matrix("up_proj", part, split, intermediate, hidden)));
    add(with_split_input(matrix("down_proj", part, split, hidden, intermediate)));
}

void add_moe(List& list, std::int64_t hidden, const MoeSpec& moe) {
    constexpr WeightPart router = WeightPart::router, routed = WeightPart::routed_experts,
                         shared = WeightPart::shared_experts;
    constexpr WeightSplit expert = WeightSplit::expert;
    list.push_back(in_full_precision(matrix("gate", router, whole, moe.experts, hidden)));
    if (moe.router_bias) {
        list.push_back(vector("gate.e_score_correction_bias", router, whole, moe.experts));
    }
    if (moe.router_linear_bias) list.push_back(vector("gate.bias", router, whole, moe.experts));
    add_gated_mlp(list, routed, expert, hidden, moe.expert_intermediate, &moe);
    if (moe.expert_bias) {
        const Weight up =
            vector("experts.gate_up_proj.bias", routed, expert, 2 * moe.expert_intermediate);
        const Weight down = vector("experts.down_proj.bias", routed, expert, hidden);
        list.push_back(of_experts(up, moe));
        list.push_back(of_experts(down, moe));
    }
    if (moe.shared_expert_intermediate > 0) {
        add_gated_mlp(list, shared, tensor, hidden, moe.shared_expert_intermediate, nullptr);
    }
    if (moe.shared_expert_gate) {
        list.push_back(in_full_precision(matrix("shared_expert_gate", shared, whole, 1, hidden)));
    }
}

}  // namespace

std::vector<Weight> layer_weights(const ModelSpec& model, const LayerSpec& layer) {
    List list;
    list.push_back(vector("input_layernorm", WeightPart::norm, whole, model.hidden));
    if (layer.attention.mla) {
        add_mla(list, model.hidden, layer.attention);
    } else {
        add_gqa(list, model.hidden, layer.attention);
    }
    list.push_back(vector("post_attention_layernorm", WeightPart::norm, whole, model.hidden));
    if (layer.moe) {
        add_moe(list, model.hidden, *layer.moe);
    } else {
        add_gated_mlp(list, WeightPart::dense_mlp, tensor, model.hidden, layer.dense_intermediate,
                      nullptr);
    }
    return list;
}

std::vector<Weight> embedding_weights(const ModelSpec& model) {
    Weight rows =
        matrix("embed_tokens", WeightPart::embedding, tensor, model.vocabulary, model.hidden);
    rows.gemm = false;
    return {in_full_precision(rows)};
}

std::vector<Weight> head_weights(const ModelSpec& model) {
    Weight head = matrix("lm_head", WeightPart::head, tensor, model.vocabulary, model.hidden);
    if (model.tied_embeddings) head.copies = 0;
    return {vector("norm", WeightPart::norm, whole, model.hidden), in_full_precision(head)};
}

std::vector<Weight> mtp_module_weights(const ModelSpec& model) {
    return {matrix("eh_proj", WeightPart::mtp_projection, whole, model.hidden, 2 * model.hidden),
            vector("enorm", WeightPart::norm, whole, model.hidden),
            vector("hnorm", WeightPart::norm, whole, model.hidden),
            vector("shared_head.norm", WeightPart::norm, whole, model.hidden)};
}

}  // namespace orrery
