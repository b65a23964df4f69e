// What a rank holds whatever the micro-batch in flight. With N parameters on the rank, of which D
// are replicated over dp cp c ranks and E (experts) over dp / ep cp c, c pipeline ranks holding a
// stage, and L weights of FP8 GEMMs:
//
//   weights              2 N              BF16, as gathered after the optimizer step
//   FP8 weights          L (1 + 4 / 128^2)   one copy; turned anew in every micro-batch, as
//                                         DeepSeek's trace shows; fp8_tensor: L
//   gradients            4 N              FP32 (DeepSeek-V3 report, section 3.3.3)
//   optimizer state      (4 + 2 m) (D / (dp cp c) + E / (dp / ep cp c))  ZeRO-1: FP32 master
//   weights
//                                         and two moments of m bytes (adam_moment_bytes);
//                                         zero_stage 0: (4 + 2 m) N
//   all-to-all buffers   see below
//   working buffers      see below
//   framework            plan.framework_memory
//
// Assumed, as no source says it, and the origin of these items: BF16 weights stay beside their FP8
// copies; what of an expert exchange and of a block is alive at once. EMA of the weights is
// in host memory (report, section 3.2.3).

#include <algorithm>
#include <utility>

#include "model/memory.hpp"
#include "model/memory_sizes.hpp"

namespace orrery {

namespace {

bool overlaps_passes(const ParallelPlan& plan) { return plan.schedule.starts_with("dualpipe"); }

struct Largest {
    double all_to_all = 0, working = 0;
};

// Tensors of an expert exchange that live beside the layer's own, D tokens received:
//   one pass      max(forward, backward) of
//     forward     2 D h + 2 t h       experts' sums going out and coming back; what dispatch brings
//                                     is an activation
//     backward    cached(D, h) + 2 D h + 2 t h    gradients coming in; sums going back
//   overlapped    both
double exchange_bytes(const MemorySizes& s, const ParallelPlan& plan, const MoeSpec& moe) {
    if (plan.ep == 1) return 0;
    const double received = static_cast<double>(s.experts(moe).received);
    const double sums = tensor_bytes(received + s.own_tokens, s.hidden);
    const double backward = s.cached(received, s.hidden) + sums;
    return overlaps_passes(plan) ? sums + backward : backward;
}

// The largest set of temporaries inside one layer, an estimate: operands and results of a block's
// operators, all alive until the block ends.
//   MLP forward        cached(R, h) + 2 R 2I + 2 R h      rows, gate and up, down
//   MLP backward       cached(R, h) + 2 R I + 2 (2 R 2I) + 2 R h
//   attention forward  2 T (queries + keys + values)
//   attention backward the same twice, FP32 gradient of queries, outputs and their gradient
struct LayerTemporaries {
    double mlp_forward, mlp_backward, attention_forward, attention_backward;
};

LayerTemporaries temporaries(const MemorySizes& s, const LayerSpec& layer) {
    const bool moe = layer.moe.has_value();
    const double rows = moe ? static_cast<double>(s.experts(*layer.moe).rows) : s.tokens;
    const std::int64_t features =
        s.per_tensor_rank(moe ? layer.moe->expert_intermediate : layer.dense_intermediate);
    const AttentionSpec& a = layer.attention;
    const std::int64_t heads = s.per_tensor_rank(a.heads);
    const std::int64_t kv_heads = s.per_tensor_rank(a.kv_heads);
    const std::int64_t value = a.mla ? a.mla->v_head_dim : a.head_dim;
    const double qkv = tensor_bytes(s.tokens, heads * a.head_dim + kv_heads * (a.head_dim + value));
    return {.mlp_forward = s.cached(rows, s.hidden) + tensor_bytes(rows, 2 * features + s.hidden),
            .mlp_backward = s.cached(rows, s.hidden) + tensor_bytes(rows, 5 * features + s.hidden),
            .attention_forward = qkv,
            .attention_backward = 2 * qkv + tensor_bytes(s.tokens, heads * a.head_dim, 4) +
                                  2 * tensor_bytes(s.tokens, heads * value)};
}

double working_bytes(const ModelSpec& model, const ParallelPlan& plan, const BatchShape& batch,
                     const MemorySizes& s, const LayerSpec& layer) {
    const LayerTemporaries at = temporaries(s, layer);
    const double forward = std::max(at.mlp_forward, at.attention_forward);
    double backward = std::max(at.mlp_backward, at.attention_backward);
    if (plan.recompute.full) {  // the layer's own activations, back for its backward pass
        ModelSpec one = model;
        one.layers = {layer};
        ParallelPlan kept = plan;
        kept.recompute.full = false;
        backward += stage_activations(one, kept, {.layers = {0}}, batch).value();
    }
    return overlaps_passes(plan) ? forward + backward : std::max(forward, backward);
}

Largest largest_layer(const ModelSpec& model, const ParallelPlan& plan,
                      const std::vector<StageLayout>& held_stages, const BatchShape& batch) {
    const MemorySizes s(model, plan, batch);
    Largest most;
    const auto look = [&](const LayerSpec& layer) {
        if (layer.moe)
            most.all_to_all = std::max(most.all_to_all, exchange_bytes(s, plan, *layer.moe));
        most.working = std::max(most.working, working_bytes(model, plan, batch, s, layer));
    };
    for (const StageLayout& stage : held_stages) {
        for (const std::int32_t i : stage.layers)
            look(model.layers.at(static_cast<std::size_t>(i)));
        if (stage.mtp_modules > 0 && model.mtp_layer) look(*model.mtp_layer);
    }
    if (most.all_to_all > 0) most.all_to_all += deepep_staging_bytes(plan.ep, model.hidden).value();
    return most;
}

double optimizer_bytes(const ParallelPlan& plan, const StageParameters& held, std::int64_t copies) {
    const double each = 4 + 2 * static_cast<double>(adam_moment_bytes(plan));
    if (plan.zero_stage == 0) return each * held.total();
    const auto dense_ranks = static_cast<double>(plan.dp * plan.cp * copies);
    const auto expert_ranks = static_cast<double>(plan.dp / plan.ep * plan.cp * copies);
    return each * (held.dense / dense_ranks + held.expert / expert_ranks);
}

}  // namespace

// Staging memory of DeepEP's normal kernels (github.com/deepseek-ai/DeepEP: csrc/config.hpp, sizes;
// deep_ep/buffer.py, default configurations): for each of 10 channels (20 SMs) a ring of tokens for
// each of up to 8 peers in the node, and two for each node. A slot holds a BF16 token, its source
// (8 B) and room for 128 experts (8 + 4 B each) and 128 scales (4 B).
Bytes deepep_staging_bytes(std::int64_t ep, std::int64_t hidden) {
    constexpr std::int64_t channels = 10, peers = 8, slot_extra = 8 + 128 * (8 + 4 + 4);
    const std::int64_t nodes = ceil_div(ep, peers);
    const std::int64_t node_tokens = ep <= 8 ? 256 : ep <= 64 ? 288 : 720;
    const std::int64_t fabric_tokens = 128;
    const double slot = tensor_bytes(1, hidden) + static_cast<double>(slot_extra);
    const auto slots = static_cast<double>(channels * std::min(ep, peers) * node_tokens);
    const auto fabric_slots = static_cast<double>(2 * channels * nodes * fabric_tokens);
    return Bytes(slots * slot + (nodes > 1 ? fabric_slots * (slot + 16) : 0));
}

std::vector<MemoryItem> static_memory(const ModelSpec& model, const ParallelPlan& plan,
                                      const std::vector<StageLayout>& held_stages,
                                      std::int64_t copies, const BatchShape& batch) {
    const StageParameters held = rank_parameters(model, plan, held_stages);
    const Largest buffers = largest_layer(model, plan, held_stages, batch);
    const bool fp8 = plan.precision != Precision::bf16;
    std::vector<MemoryItem> items;
    const auto add = [&](const char* name, double bytes, Provenance from) {
        items.push_back({name, Bytes(bytes), std::move(from)});
    };
    add("weights", 2 * held.total(),
        fp8 ? Provenance{Origin::assumed, "BF16; taken to stay beside their FP8 copies"}
            : Provenance{Origin::derived, "2 bytes a parameter"});
    if (fp8) {
        const double scales = plan.precision == Precision::fp8_block ? 4.0 / (128 * 128) : 0;
        add("FP8 weights", (1 + scales) * held.linear,
            {Origin::derived,
             "1 byte a weight of an FP8 GEMM and its scales; one copy, as "
             "DeepSeek's profiled training turns it in every micro-batch"});
    }
    add("gradients", 4 * held.total(), {Origin::derived, "FP32: arXiv:2412.19437v1 sec. 3.3.3"});
    add("optimizer state", optimizer_bytes(plan, held, copies),
        {Origin::derived, "FP32 master weights and two moments over the ranks that share them"});
    if (buffers.all_to_all > 0) {
        add("all-to-all buffers", buffers.all_to_all,
            {Origin::assumed,
             "DeepEP's default staging buffers; which tensors of an exchange are "
             "alive at once is assumed"});
    }
    add("working buffers", buffers.working,
        {Origin::assumed, "operands and results of the largest block, taken to be alive at once"});
    if (plan.framework_memory.value.value() > 0) {
        items.push_back({"framework", plan.framework_memory.value, plan.framework_memory.from});
    }
    return items;
}

}  // namespace orrery
