#pragma once
// One layer's work in an inference engine as operators: pure functions from (model, layer, plan,
// batch) to the kernels a rank runs. Which of them run beside others is the iteration's business
// (serving/overlap.hpp).
//
// Ranks. An attention group is tp ranks with one KV cache; dp groups make an engine. Routed experts
// are spread over ep ranks:
//   ep <= tp   inside the group: every rank has all tokens, E / ep experts, each divided by tp /
//   ep;
//              partial sums are all-reduced
//   ep > tp    over groups: attention's output is reduce-scattered, each rank routes its own
//   tokens,
//              dispatch and combine are all-to-alls, shared experts are whole on every rank, and
//              tokens are gathered again (nothing where tp = 1)
// Dense MLPs are divided by tp, with an all-reduce. pp cuts layers evenly; a message follows.
//
// Multi-head latent attention has two forms. h heads here, c the latent's width, r RoPE features,
// n and v the key's and value's per head, P new prompt tokens with C cached ones before them, D
// query tokens of decoding:
//   expanded   keys and values = (P + C) x c x h (n + v); attention over h heads of n + r and v
//   absorbed   queries times W_UK: rows x h x n x c; attention over one latent head of c + r, whose
//              first c are the values; times W_UV: rows x h x c x v
// Per query token and key the absorbed form costs (2 c + r) / (n + r + v) of the expanded one, 3.4
// for DeepSeek-V3; it pays where few queries meet many cached keys. Absorbed products are BF16.
//
// Core attention takes means: s sequences, q = tokens / s, and the key length that gives the batch
// its query-key pairs: s q (k - q / 2).
//
// Left out: kernels of sampling beyond one pass over the logits, penalties, grammars, LoRA,
// collectives of context parallelism, dequantising instructions, and kernels that only a library of
// fused ones has; a router is taken to be one GEMM and two kernels, casts write scales in the
// layout that the GEMM reads.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/quantity.hpp"
#include "hardware/operator.hpp"
#include "model/model_spec.hpp"

namespace orrery {

struct InferencePlan {
    std::int64_t tp = 1, dp = 1, ep = 1, pp = 1;
    Precision precision = Precision::bf16;  // of linear layers; embedding, head, router are BF16
    std::int64_t key_value_bits = 16;       // of a cached element: 16 or 8
    // Grouped GEMMs of experts over slots with room for any count (decode), or packed (prefill).
    GroupLayout expert_layout = GroupLayout::contiguous;

    std::int64_t ranks() const { return tp * dp * pp; }
    bool all_to_all() const { return ep > tp; }
};

// What one attention group computes in an iteration; the fields are sums over its requests.
struct InferenceBatch {
    std::int64_t prefill_tokens = 0, prefill_sequences = 0;
    std::int64_t prefill_pairs = 0;    // keys that the new tokens attend to, themselves included
    std::int64_t prefill_context = 0;  // tokens cached before them
    std::int64_t decode_sequences = 0;
    std::int64_t decode_tokens = 0;   // queries: sequences x tokens verified
    std::int64_t decode_context = 0;  // cached tokens that the sequences read
    std::int64_t tokens() const { return prefill_tokens + decode_tokens; }
    // Rows of the output head: the last token of each prompt, every query of decoding.
    std::int64_t sampled() const { return prefill_sequences + decode_tokens; }
    constexpr bool operator==(const InferenceBatch&) const = default;
};

enum class AttentionForm : std::uint8_t { expanded, absorbed };
struct AttentionForms {
    AttentionForm prefill = AttentionForm::expanded, decode = AttentionForm::absorbed;
};

// Routed experts' work on one rank in one layer.
struct ExpertLoad {
    std::int64_t experts = 0;   // slots on the rank
    std::int64_t rows = 0;      // of all of them, padded where the layout packs them
    std::int64_t received = 0;  // tokens, each once however many of its experts are here
};
// Balanced routing of `tokens` of each attention group over the plan's experts and `slots` of them
// in all (0: one an expert); rows padded to 128 an expert in the contiguous layout.
ExpertLoad balanced_load(const InferencePlan& plan, const MoeSpec& moe, std::int64_t tokens,
                         std::int64_t slots = 0);

// A layer, in execution order. Collectives of the tensor group stand between the kernels.
struct InferenceLayer {
    std::vector<Operator> attention_in;   // norm, projections, RoPE, cache
    std::vector<Operator> core;           // core attention, with what only its form needs
    std::vector<Operator> attention_out;  // output projection, norm, router
    std::vector<Operator> mlp;            // dense MLP or shared expert
    std::vector<Operator> experts;        // routed experts
    bool all_to_all = false;              // dispatch before, combine behind the experts
};
InferenceLayer lower_inference_layer(const ModelSpec& model, const LayerSpec& layer,
                                     const InferencePlan& plan, const InferenceBatch& batch,
                                     const AttentionForms& forms, const ExpertLoad& load);

// Routed experts of an MoE layer alone; `tokens` of each attention group.
std::vector<Operator> lower_routed_experts(const ModelSpec& model, const LayerSpec& layer,
                                           const InferencePlan& plan, std::int64_t tokens,
                                           const ExpertLoad& load);
// Core attention alone, and what only its form needs: of the prompts, and of decoding.
std::vector<Operator> lower_prefill_core(const LayerSpec& layer, const InferencePlan& plan,
                                         const InferenceBatch& batch, AttentionForm form);
std::vector<Operator> lower_decode_core(const LayerSpec& layer, const InferencePlan& plan,
                                        const InferenceBatch& batch, AttentionForm form);

// Embedding of all tokens; final norm, head and sampling of `rows` of them.
std::vector<Operator> lower_inference_embedding(const ModelSpec& model, const InferencePlan& plan,
                                                std::int64_t tokens);
std::vector<Operator> lower_inference_head(const ModelSpec& model, const InferencePlan& plan,
                                           std::int64_t rows);
// In front of an MTP layer: embedding of the drafted tokens, two norms, concatenation, 2h -> h.
std::vector<Operator> lower_inference_mtp(const ModelSpec& model, const InferencePlan& plan,
                                          std::int64_t tokens);
// Activations to the next stage.
Operator inference_send(const ModelSpec& model, const InferencePlan& plan, std::int64_t tokens);

}  // namespace orrery
