// The router of a MoE layer: a BF16 GEMM to scores, then many small kernels over [tokens, experts]
// or less, which take their launches rather than their bytes. They are three operators with a count
// of launches each. DeepSeek's counts are those of its training trace (36 forward without the noise
// that the traced run adds to its scores, 26 backward): affinities and bias; group-limited top-k;
// counts for the balance loss and the bias update. A plain softmax top-k router is taken to need a
// quarter of that (softmax, top-k, two to normalise, six for the balance loss): assumed.
//
// Bytes in passes over FP32 [tokens, experts] (r read, w written), sizes of groups left out:
//   group-limited scores     sigmoid 1r 1w, sum 1r, normalise 1r 1w, add the bias 1r 1w:   4r 3w
//   group-limited top-k      best two of a group 1r, mask of 1 byte 0.25w, masked scores 1.25r 1w,
//                            top-k 1r:                                               3.25r 1.25w
//   group-limited backward   assumed, not counted: 15r 11.5w, about one pass a launch. At 4096
//                            tokens and 256 experts 111 MB, less time than the 26 launches.
//   softmax scores           1r 1w
//   softmax backward         zeroed gradient 1w, the balance loss's added 2r 1w, softmax's 2r 1w:
//                                                                                          4r 3w
// The price of a router is therefore assumed (hardware/memory_time.cpp).

#include <algorithm>

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

bool group_limited(const MoeSpec& moe) { return moe.groups > 1 || moe.router_bias; }

// One FP32 pass over [tokens, experts].
double pass(const PhaseBuilder& b, const MoeSpec& moe) {
    return 4.0 * static_cast<double>(b.own_tokens() * moe.experts);
}

}  // namespace

void router_forward(PhaseBuilder& b, const MoeSpec& moe) {
    const std::int64_t t = b.own_tokens(), E = moe.experts;
    const double scores = pass(b, moe);
    const double chosen = 12.0 * static_cast<double>(t * moe.top_k);  // index and weight of each
    b.gemm_bf16(linear::router_gate.forward, t, E, b.hidden());
    if (moe.shared_expert_gate) b.gemm_bf16(linear::shared_gate.forward, t, 1, b.hidden());
    if (!group_limited(moe)) {
        b.memory("router_scores", MemoryOpKind::router, t, E, scores, scores, 1);
        b.memory("router_topk", MemoryOpKind::router, t, E, scores + chosen, 2 * chosen, 3);
        b.memory("router_balance", MemoryOpKind::router, t, E, scores + chosen, chosen, 6);
        return;
    }
    // sigmoid, sum, normalise, add the bias
    b.memory("router_scores", MemoryOpKind::router, t, E, 4 * scores, 3 * scores, 4);
    // best two of each group, best groups, mask of one byte, masked scores, top-k, its weights
    b.memory("router_topk", MemoryOpKind::router, t, E, 3.25 * scores + chosen,
             1.25 * scores + 2 * chosen, 11);
    b.memory("router_balance", MemoryOpKind::router, t, E, scores + 4 * chosen, 2 * chosen, 21);
}

void router_backward(PhaseBuilder& b, const MoeSpec& moe) {
    const std::int64_t t = b.own_tokens(), E = moe.experts, hidden = b.hidden();
    const double scores = pass(b, moe);
    if (group_limited(moe)) {
        // Gradient of weights, normalisation and sigmoid.
        b.memory("router.backward", MemoryOpKind::router, t, E, 15 * scores, 11.5 * scores, 26);
    } else {
        b.memory("router.backward", MemoryOpKind::router, t, E, 4 * scores, 3 * scores, 7);
    }
    b.gemm_bf16(linear::router_gate.dgrad, t, hidden, E);
    b.wgrad_bf16(linear::router_gate.wgrad, E, hidden, t);
    if (moe.shared_expert_gate) {
        b.gemm_bf16(linear::shared_gate.dgrad, t, hidden, 1);
        b.wgrad_bf16(linear::shared_gate.wgrad, 1, hidden, t);
    }
    b.elementwise("router_gradient_add", MemoryOpKind::add, t, hidden, 2, 1);
}

}  // namespace orrery
