// Activations kept from forward to backward. With T, t and cached() of memory_sizes.hpp, h hidden,
// H heads, K KV heads and I intermediate features on this rank (divided by tp), per layer:
//
//   layer input              2 t h        what the first norm is recomputed from
//   norm outputs             cached(t, h) each; none with recompute.norm (norms of MLA's latents:
//                            cached(t, q rank + kv rank)); BF16 before a router
//   latents (MLA)            2 t (q rank + kv rank + rope)
//   queries, keys, values    MLA: 2 T H (2 (nope + rope) + v), none with
//   recompute.mla_up_projection
//                            GQA: 2 T (H + 2 K) d, and 2 T (H + K) d more before norms of q and k
//   attention output         2 T H v; fp8_block: E5M6, 1.5 T H v + scales (report, section 3.3.3:
//                            input of the output projection and of the attention's backward pass)
//   attention statistics     4 T H        log-sum-exp
//   indexer (V3.2)           2 t (heads + 1) width + 4 t top-k
//   MLP input                2 t h        residual stream after attention
//   SwiGLU input             2 T 2I; FP8 with recompute.swiglu: cached(T, 2I)
//   SwiGLU output            cached(T, I); none with recompute.swiglu
//   router                   t (4 E scores + 12 k weights and indices)
//   expert inputs            FP8: cached(D, h), D tokens received, each once; BF16: 2 R h, R rows
//   row maps                 8 R
//   expert SwiGLU            as above with R rows of the experts' I
// and at the ends
//   token ids                8 T
//   MTP inputs               2 t 2h (hidden state and embedding); without recompute.norm
//                            cached(t, 2h) more
//   head input               2 t h a head; without recompute.norm 2 t h more
//   logits                   2 T V / tp a head: cross-entropy turns them into their gradient in
//                            place; their weight gradient reads them
// recompute.full keeps the layer input only. Routing weights are multiplied in at SwiGLU, as
// DeepSeek's trace shows, so that expert outputs need not be kept. Assumed: dropout none, RMSNorm
// statistics negligible.

#include <algorithm>

#include "model/memory.hpp"
#include "model/memory_sizes.hpp"

namespace orrery {

namespace {

class Keeper {
  public:
    Keeper(const ModelSpec& model, const ParallelPlan& plan, const BatchShape& batch)
        : model_(model), plan_(plan), s_(model, plan, batch) {}

    void layer(const LayerSpec& layer);
    void embedding() { keep("token ids", tensor_bytes(s_.tokens, 1, 8)); }
    void mtp_inputs();
    void head();
    std::vector<MemoryItem> take() { return std::move(items_); }

  private:
    void keep(const char* name, double bytes);
    void latent_attention(const AttentionSpec& spec);
    void grouped_attention(const AttentionSpec& spec);
    void attention_output(std::int64_t heads, std::int64_t features);
    void swiglu(const char* input, const char* output, double rows, std::int64_t features);
    void experts(const MoeSpec& moe);

    const ModelSpec& model_;
    const ParallelPlan& plan_;
    MemorySizes s_;
    std::vector<MemoryItem> items_;
};

// Tensors of one name add up over layers.
void Keeper::keep(const char* name, double bytes) {
    if (bytes <= 0) return;
    const auto same = std::find_if(items_.begin(), items_.end(),
                                   [name](const MemoryItem& item) { return item.name == name; });
    if (same != items_.end()) {
        same->bytes += Bytes(bytes);
    } else {
        items_.push_back({name, Bytes(bytes)});
    }
}

void Keeper::latent_attention(const AttentionSpec& spec) {
    const MlaSpec& mla = *spec.mla;
    const std::int64_t heads = s_.per_tensor_rank(spec.heads);
    const std::int64_t ranks = mla.q_lora_rank + mla.kv_lora_rank;
    keep("attention latents", tensor_bytes(s_.own_tokens, ranks + mla.qk_rope_head_dim));
    if (!plan_.recompute.norm) {
        keep("norm outputs", s_.cached(s_.own_tokens, s_.hidden) +
                                 s_.cached(s_.own_tokens, mla.q_lora_rank) +
                                 s_.cached(s_.own_tokens, mla.kv_lora_rank));
    }
    if (!plan_.recompute.mla_up_projection) {
        const std::int64_t query_key = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
        keep("queries, keys, values",
             tensor_bytes(s_.tokens, heads * (2 * query_key + mla.v_head_dim)));
    }
    if (mla.index_heads > 0) {
        keep("indexer", tensor_bytes(s_.own_tokens, (mla.index_heads + 1) * mla.index_head_dim) +
                            tensor_bytes(s_.own_tokens, mla.index_top_k, 4));
    }
    attention_output(heads, heads * mla.v_head_dim);
}

void Keeper::grouped_attention(const AttentionSpec& spec) {
    const std::int64_t heads = s_.per_tensor_rank(spec.heads);
    const std::int64_t kv_heads = s_.per_tensor_rank(spec.kv_heads);
    if (!plan_.recompute.norm) keep("norm outputs", s_.cached(s_.own_tokens, s_.hidden));
    keep("queries, keys, values", tensor_bytes(s_.tokens, (heads + 2 * kv_heads) * spec.head_dim));
    if (spec.qk_norm) {
        keep("queries, keys, values", tensor_bytes(s_.tokens, (heads + kv_heads) * spec.head_dim));
    }
    attention_output(heads, heads * spec.head_dim);
}

void Keeper::attention_output(std::int64_t heads, std::int64_t features) {
    const double e5m6 = tensor_bytes(s_.tokens, features, 1.5) +
                        tensor_bytes(s_.tokens, ceil_div(features, 128), 4);
    keep("attention outputs", s_.builder.block_scales() ? e5m6 : tensor_bytes(s_.tokens, features));
    keep("attention statistics", tensor_bytes(s_.tokens, heads, 4));
}

void Keeper::swiglu(const char* input, const char* output, double rows, std::int64_t features) {
    if (features == 0) return;
    if (plan_.recompute.swiglu) {
        keep(input, s_.cached(rows, 2 * features));
    } else {
        keep(input, tensor_bytes(rows, 2 * features));
        keep(output, s_.cached(rows, features));
    }
}

void Keeper::experts(const MoeSpec& moe) {
    const ExpertRows at = s_.experts(moe);
    const double rows = static_cast<double>(at.rows);
    keep("router", tensor_bytes(s_.own_tokens, 4 * moe.experts + 12 * moe.top_k, 1));
    keep("expert inputs", s_.builder.fp8() ? s_.cached(static_cast<double>(at.received), s_.hidden)
                                           : tensor_bytes(rows, s_.hidden));
    keep("row maps", tensor_bytes(rows, 1, 8));
    swiglu("expert SwiGLU inputs", "expert SwiGLU outputs", rows,
           s_.per_tensor_rank(moe.expert_intermediate));
    swiglu("MLP SwiGLU inputs", "MLP SwiGLU outputs", s_.tokens,
           s_.per_tensor_rank(moe.shared_expert_intermediate));
}

void Keeper::layer(const LayerSpec& layer) {
    keep("layer inputs", tensor_bytes(s_.own_tokens, s_.hidden));
    if (plan_.recompute.full) return;
    if (layer.attention.mla) {
        latent_attention(layer.attention);
    } else {
        grouped_attention(layer.attention);
    }
    keep("MLP inputs", tensor_bytes(s_.own_tokens, s_.hidden));
    if (!plan_.recompute.norm) {
        keep("norm outputs", layer.moe ? tensor_bytes(s_.own_tokens, s_.hidden)
                                       : s_.cached(s_.own_tokens, s_.hidden));
    }
    if (layer.moe) {
        experts(*layer.moe);
    } else {
        swiglu("MLP SwiGLU inputs", "MLP SwiGLU outputs", s_.tokens,
               s_.per_tensor_rank(layer.dense_intermediate));
    }
}

void Keeper::mtp_inputs() {
    keep("token ids", tensor_bytes(s_.tokens, 1, 8));
    keep("MTP inputs", tensor_bytes(s_.own_tokens, 2 * s_.hidden));
    if (!plan_.recompute.norm && !plan_.recompute.full) {
        keep("norm outputs", s_.cached(s_.own_tokens, 2 * s_.hidden));
    }
}

void Keeper::head() {
    keep("head inputs", tensor_bytes(s_.own_tokens, s_.hidden));
    if (!plan_.recompute.norm && !plan_.recompute.full) {
        keep("norm outputs", tensor_bytes(s_.own_tokens, s_.hidden));
    }
    keep("logits", tensor_bytes(s_.tokens, s_.per_tensor_rank(model_.vocabulary)));
}

}  // namespace

std::vector<MemoryItem> stage_activation_items(const ModelSpec& model, const ParallelPlan& plan,
                                               const StageLayout& stage, const BatchShape& batch) {
    Keeper keeper(model, plan, batch);
    if (stage.embedding) keeper.embedding();
    for (const std::int32_t index : stage.layers) {
        keeper.layer(model.layers.at(static_cast<std::size_t>(index)));
    }
    if (stage.head) keeper.head();
    for (std::int32_t i = 0; i < stage.mtp_modules && model.mtp_layer; ++i) {
        keeper.mtp_inputs();
        keeper.layer(*model.mtp_layer);
        keeper.head();
    }
    return keeper.take();
}

Bytes stage_activations(const ModelSpec& model, const ParallelPlan& plan, const StageLayout& stage,
                        const BatchShape& batch) {
    Bytes sum;
    for (const MemoryItem& item : stage_activation_items(model, plan, stage, batch)) {
        sum += item.bytes;
    }
    return sum;
}

}  // namespace orrery
