#include "model/accounting.hpp"

#include <algorithm>

#include "model/weights.hpp"

namespace orrery {

namespace {

std::int64_t active_parameters(const Weight& w) {
    return w.rows * w.columns * std::min(w.active, w.copies);
}

std::int64_t* group_of(ParameterCount& count, WeightPart part) {
    switch (part) {
        case WeightPart::embedding:
            return &count.embedding;
        case WeightPart::head:
            return &count.head;
        case WeightPart::attention:
            return &count.attention;
        case WeightPart::dense_mlp:
            return &count.dense_mlp;
        case WeightPart::routed_experts:
            return &count.routed_experts;
        case WeightPart::shared_experts:
            return &count.shared_experts;
        case WeightPart::router:
            return &count.router;
        case WeightPart::norm:
        case WeightPart::mtp_projection:
            break;
    }
    return &count.norms;
}

void add_to(ParameterCount& count, const std::vector<Weight>& weights) {
    for (const Weight& w : weights) {
        count.total += w.elements();
        count.active += active_parameters(w);
        *group_of(count, w.part) += w.elements();
        if (w.part == WeightPart::routed_experts)
            count.active_routed_experts += w.active_elements();
    }
}

double gemm_flops(const std::vector<Weight>& weights) {
    double elements = 0;
    for (const Weight& w : weights) {
        if (w.gemm) elements += static_cast<double>(w.active_elements());
    }
    return 2 * elements;
}

// Mean number of keys a query meets; see the header.
double mean_keys(std::int64_t sequence_length, std::int64_t window, bool causal) {
    const double s = static_cast<double>(sequence_length), w = static_cast<double>(window);
    const bool cut = window > 0 && window < sequence_length;
    if (!causal) return cut ? w : s;
    return cut ? w * (s - w / 2) / s : s / 2;
}

double core_attention_flops(const AttentionSpec& spec, std::int64_t sequence_length, bool causal) {
    const double heads = static_cast<double>(spec.heads);
    if (!spec.mla) {
        const double width = static_cast<double>(2 * spec.head_dim);
        return 2 * heads * width * mean_keys(sequence_length, spec.sliding_window, causal);
    }
    const MlaSpec& mla = *spec.mla;
    const double width =
        static_cast<double>(mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim);
    const double index_width = static_cast<double>(mla.index_heads * mla.index_head_dim);
    return 2 * heads * width * mean_keys(sequence_length, mla.index_top_k, causal) +
           2 * index_width * mean_keys(sequence_length, 0, causal);
}

double layer_flops(const ModelSpec& model, const LayerSpec& layer, std::int64_t sequence_length,
                   bool causal) {
    return gemm_flops(layer_weights(model, layer)) +
           core_attention_flops(layer.attention, sequence_length, causal);
}

std::int64_t layer_kv_bytes(const AttentionSpec& spec, std::int64_t element_bytes) {
    if (!spec.mla) return 2 * spec.kv_heads * spec.head_dim * element_bytes;
    const MlaSpec& mla = *spec.mla;
    const std::int64_t index_key =
        mla.index_heads > 0 ? mla.index_head_dim + 4 * ((mla.index_head_dim + 127) / 128) : 0;
    return (mla.kv_lora_rank + mla.qk_rope_head_dim) * element_bytes + index_key;
}

// Every weight of the model, MTP modules with their unique ones.
std::vector<Weight> all_weights(const ModelSpec& model) {
    std::vector<Weight> all = embedding_weights(model);
    const auto append = [&all](const std::vector<Weight>& more) {
        all.insert(all.end(), more.begin(), more.end());
    };
    for (const LayerSpec& layer : model.layers) append(layer_weights(model, layer));
    append(head_weights(model));
    for (std::int64_t i = 0; i < model.mtp_modules; ++i) {
        append(mtp_module_weights(model));
        append(layer_weights(model, *model.mtp_layer));
    }
    return all;
}

}  // namespace

ParameterCount count_parameters(const ModelSpec& model) {
    ParameterCount count;
    add_to(count, embedding_weights(model));
    for (const LayerSpec& layer : model.layers) add_to(count, layer_weights(model, layer));
    add_to(count, head_weights(model));
    if (model.mtp_modules > 0) {
        ParameterCount module;
        add_to(module, mtp_module_weights(model));
        add_to(module, layer_weights(model, *model.mtp_layer));
        count.mtp_unique = model.mtp_modules * module.total;
        count.mtp_active = model.mtp_modules * module.active;
    }
    return count;
}

std::vector<LayerAccount> account_layers(const ModelSpec& model, std::int64_t sequence_length,
                                         std::int64_t kv_element_bytes) {
    std::vector<LayerAccount> accounts;
    for (const LayerSpec& layer : model.layers) {
        ParameterCount count;
        add_to(count, layer_weights(model, layer));
        accounts.push_back({.kind = std::string(layer.moe ? "moe" : "dense") +
                                    (layer.attention.sliding_window > 0 ? " window" : ""),
                            .parameters = count.total,
                            .active = count.active,
                            .forward_flops = layer_flops(model, layer, sequence_length, true),
                            .kv_bytes = layer_kv_bytes(layer.attention, kv_element_bytes)});
    }
    return accounts;
}

FlopsPerToken flops_per_token(const ModelSpec& model, std::int64_t sequence_length) {
    FlopsPerToken flops;
    const double head = gemm_flops(head_weights(model));
    flops.forward = flops.forward_non_causal = head;
    for (const LayerSpec& layer : model.layers) {
        flops.forward += layer_flops(model, layer, sequence_length, true);
        flops.forward_non_causal += layer_flops(model, layer, sequence_length, false);
    }
    flops.training = 3 * flops.forward;
    flops.training_non_causal = 3 * flops.forward_non_causal;
    if (model.mtp_modules > 0) {
        flops.mtp_training = 3 * static_cast<double>(model.mtp_modules) *
                             (gemm_flops(mtp_module_weights(model)) + head +
                              layer_flops(model, *model.mtp_layer, sequence_length, true));
    }
    return flops;
}

std::int64_t kv_bytes_per_token(const ModelSpec& model, std::int64_t element_bytes) {
    std::int64_t bytes = 0;
    for (const LayerSpec& layer : model.layers) {
        bytes += layer_kv_bytes(layer.attention, element_bytes);
    }
    return bytes;
}

Bytes weight_bytes_bf16(const ModelSpec& model) {
    double elements = 0;
    for (const Weight& w : all_weights(model)) elements += static_cast<double>(w.elements());
    return Bytes(2 * elements);
}

std::optional<Bytes> weight_bytes_as_published(const ModelSpec& model) {
    const std::string& format = model.weight_format;
    if (format == "bf16" || format == "fp16") return weight_bytes_bf16(model);
    if (format == "fp32") return 2 * weight_bytes_bf16(model);
    if (format != "fp8_block" && format != "mxfp4") return std::nullopt;
    double bytes = 0;
    for (const Weight& w : all_weights(model)) {
        const double elements = static_cast<double>(w.elements());
        const bool expert_matrix = w.part == WeightPart::routed_experts && w.gemm;
        const auto blocks = [](std::int64_t n) { return (n + 127) / 128; };
        if (format == "mxfp4") {
            bytes += elements * (expert_matrix ? 17.0 / 32 : 2);
        } else if (w.gemm && w.quantized) {
            bytes +=
                elements + 4.0 * static_cast<double>(blocks(w.rows) * blocks(w.columns) * w.copies);
        } else {
            bytes += 2 * elements;
        }
    }
    return Bytes(bytes);
}

}  // namespace orrery
