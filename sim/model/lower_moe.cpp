// Mixture of experts: dispatch, grouped GEMMs over the experts of this rank, combine, shared
// expert.
//
// Rows. A rank of an expert group of ep ranks receives, balanced, T k rows for its E / ep experts
// (T tokens a rank, k experts a token); routed_rows_factor scales that. Each expert's rows are
// padded to 128, the tile of the grouped GEMM. A token that chose two experts of one rank travels
// once: tokens received = T x expected ranks a token reaches. Choosing k of N experts evenly, with
// m of the N on each rank, a token misses one given rank with probability C(N - m, k) / C(N, k), so
//   ranks reached = (N / m) (1 - prod_{i < k} (N - m - i) / (N - i)),
// N being the experts of the top_k_groups groups that node-limited routing admits.
//
// Tensor parallelism splits each expert's intermediate features; every tensor rank dispatches its
// own tokens, what arrives is gathered over the tensor group and the partial sums are
// reduce-scattered before they travel back.
//
// Routing weights are applied inside SwiGLU, so the reduction back to tokens is a plain sum.

#include <algorithm>

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

double tensor(std::int64_t rows, std::int64_t columns) {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns);
}

double ranks_reached(const MoeSpec& moe, std::int64_t ep) {
    const std::int64_t m = moe.experts / ep;
    std::int64_t pool = moe.experts;
    if (moe.groups > 1 && m <= moe.experts / moe.groups) {
        pool = moe.experts / moe.groups * moe.top_k_groups;
    }
    double missed = 1;
    for (std::int64_t i = 0; i < moe.top_k; ++i) {
        missed *= static_cast<double>(std::max<std::int64_t>(0, pool - m - i)) /
                  static_cast<double>(pool - i);
    }
    return static_cast<double>(pool) / static_cast<double>(m) * (1 - missed);
}

// One block's sizes, worked out once a call.
struct Sizes {
    ExpertRows at;
    std::int64_t features;         // of one expert on this rank
    std::int64_t shared_features;  // of the shared expert on this rank; 0: none
    double payload;                // bytes of one token in linear-layer precision
};

Sizes sizes(const PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch) {
    return {.at = expert_rows(b, moe, batch),
            .features = ceil_div(moe.expert_intermediate, b.plan().tp),
            .shared_features = ceil_div(moe.shared_expert_intermediate, b.plan().tp),
            .payload = b.fp8() ? b.fp8_bytes(1, b.hidden()) : tensor(1, b.hidden())};
}

void all_to_all(PhaseBuilder& b, PhaseKind phase, const char* name, CommunicationKind kind,
                const MoeSpec& moe, double payload) {
    if (b.plan().ep == 1) return;
    b.begin(phase);
    b.add(name, Communication{.kind = kind,
                              .group = Group::expert,
                              .ranks = b.plan().ep,
                              .bytes = Bytes(payload),
                              .tokens = b.own_tokens(),
                              .top_k = moe.top_k,
                              .experts = moe.experts,
                              .node_limit = moe.groups > 1 ? moe.top_k_groups : 0});
}

void grouped(PhaseBuilder& b, const char* name, const ExpertRows& at, std::int64_t n,
             std::int64_t k, GroupLayout layout = GroupLayout::contiguous) {
    b.add(name, GroupedGemm{.groups = at.experts,
                            .rows = at.rows,
                            .n = n,
                            .k = k,
                            .precision = b.plan().precision,
                            .layout = layout});
}

// Received tokens over the tensor group: gathered before the experts, summed back after them.
void gather_received(PhaseBuilder& b, const char* name, const Sizes& s, double payload) {
    if (b.plan().tp == 1) return;
    b.tensor_collective(name, CommunicationKind::all_gather, Group::tensor, b.plan().tp,
                        Bytes(static_cast<double>(s.at.received) * payload));
}
void scatter_received(PhaseBuilder& b, const char* name, const Sizes& s) {
    if (b.plan().tp == 1) return;
    b.tensor_collective(name, CommunicationKind::reduce_scatter, Group::tensor, b.plan().tp,
                        Bytes(tensor(s.at.received, b.hidden())));
}

// Tokens copied to their experts' rows, with their scales.
void expand(PhaseBuilder& b, const char* name, const Sizes& s) {
    b.memory(name, MemoryOpKind::permute, s.at.rows, b.hidden(),
             static_cast<double>(s.at.received) * s.payload,
             static_cast<double>(s.at.rows) * s.payload);
}
// Rows of each token summed.
void reduce(PhaseBuilder& b, const char* name, const Sizes& s) {
    b.memory(name, MemoryOpKind::unpermute, s.at.rows, b.hidden(), tensor(s.at.rows, b.hidden()),
             tensor(s.at.received, b.hidden()));
}
void scale_weights(PhaseBuilder& b, const char* name, const MoeSpec& moe, const Sizes& s) {
    const double weights = 4.0 * static_cast<double>(s.at.received * moe.top_k);
    b.memory(name, MemoryOpKind::router, s.at.received, moe.top_k, weights, weights);
}

// Received FP8 tokens gathered into expert rows and turned for a weight gradient, in one kernel.
void gather_transpose(PhaseBuilder& b, const char* name, const Sizes& s) {
    if (!b.fp8()) return;  // BF16: the expanded rows are kept and read transposed
    b.memory(name, MemoryOpKind::cast_transpose, s.at.rows, b.hidden(),
             static_cast<double>(s.at.received) * s.payload, b.fp8_bytes(b.hidden(), s.at.rows));
}

void experts_forward(PhaseBuilder& b, const MoeSpec& moe, const Sizes& s) {
    const std::int64_t rows = s.at.rows, I = s.features, hidden = b.hidden();
    const LinearNames &up = linear::experts_gate_up, &down = linear::experts_down;
    const double indices = 8.0 * static_cast<double>(s.at.received * moe.top_k);
    b.memory("permute_mapping", MemoryOpKind::permute, s.at.received, moe.top_k, 2 * indices,
             indices + 4.0 * static_cast<double>(rows), 2);
    expand(b, "permute", s);
    b.weight_transpose(up.weight_transpose, 2 * I, hidden, s.at.experts);
    b.scales(up.scales, rows, hidden);
    grouped(b, up.forward, s.at, 2 * I, hidden);
    scale_weights(b, "routing_weight_scale", moe, s);
    b.memory("experts_swiglu", MemoryOpKind::swiglu, rows, I,
             tensor(rows, 2 * I) + 4.0 * static_cast<double>(rows),
             b.fp8() ? b.fp8_bytes(rows, I) : tensor(rows, I));
    b.weight_transpose(down.weight_transpose, hidden, I, s.at.experts);
    b.scales(down.scales, rows, I);
    grouped(b, down.forward, s.at, hidden, I);
    reduce(b, "unpermute", s);
}

void experts_backward_down(PhaseBuilder& b, const MoeSpec& moe, const Sizes& s) {
    const std::int64_t rows = s.at.rows, I = s.features, hidden = b.hidden();
    const LinearNames& down = linear::experts_down;
    const bool again = b.plan().recompute.swiglu;  // SwiGLU's output, and FP8 copies of its input
    const double weights = 4.0 * static_cast<double>(rows);
    if (again) b.cast_back("experts_swiglu_input.cast_back", rows, 2 * I);
    expand(b, "permute.gradient", s);
    b.scales(down.gradient_scales, rows, hidden);
    grouped(b, down.dgrad, s.at, I, hidden);
    b.memory("experts_swiglu.backward", MemoryOpKind::swiglu_backward, rows, I,
             tensor(rows, 3 * I) + weights, tensor(rows, again ? 3 * I : 2 * I));
    b.memory("routing_weight.backward", MemoryOpKind::swiglu_backward, rows, I, tensor(rows, 2 * I),
             weights);
    b.cast_transpose(down.input_transpose, rows, I,
                     again ? PhaseBuilder::Input::bf16 : PhaseBuilder::Input::fp8);
    scale_weights(b, "routing_weight_scale.backward", moe, s);
}

void experts_backward_up(PhaseBuilder& b, const Sizes& s) {
    const LinearNames& up = linear::experts_gate_up;
    b.cast(up.gradient_cast, s.at.rows, 2 * s.features);
    b.scales(up.gradient_scales, s.at.rows, 2 * s.features);
    grouped(b, up.dgrad, s.at, b.hidden(), 2 * s.features);
    reduce(b, "unpermute.gradient", s);
    b.cast_transpose(up.gradient_transpose, s.at.rows, 2 * s.features);
}

}  // namespace

ExpertRows expert_rows(const PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch) {
    const std::int64_t ep = b.plan().ep;
    ExpertRows at{.experts = ceil_div(moe.experts, ep)};
    if (batch.routed) {
        at.rows = batch.routed->rows;
        at.received = batch.routed->received;
        return at;
    }
    const double tokens = static_cast<double>(b.tokens()) * batch.routed_rows_factor;
    const double each = tokens * static_cast<double>(moe.top_k) / static_cast<double>(at.experts);
    at.rows = at.experts * 128 * ceil_div(static_cast<std::int64_t>(each + 0.5), 128);
    at.received = static_cast<std::int64_t>(tokens * ranks_reached(moe, ep) + 0.5);
    return at;
}

void moe_forward(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch) {
    const Sizes s = sizes(b, moe, batch);
    const GatedMlpNames& shared = shared_expert_names();
    b.cast("dispatch.cast", b.own_tokens(), b.hidden());
    all_to_all(b, PhaseKind::dispatch, "dispatch", CommunicationKind::expert_dispatch, moe,
               s.payload);
    b.begin(PhaseKind::mlp);
    if (s.shared_features > 0) {
        b.gather_tokens("mlp_input_all_gather", b.hidden());
        gated_mlp_up(b, shared, s.shared_features);
    }
    gather_received(b, "expert_input_all_gather", s, s.payload);
    experts_forward(b, moe, s);
    scatter_received(b, "expert_output_reduce_scatter", s);
    if (s.shared_features > 0) gated_mlp_down(b, shared, s.shared_features);
    if (b.plan().recompute.swiglu) {
        b.cast("experts_swiglu_input.cast", s.at.rows, 2 * s.features);
    }
    if (s.shared_features > 0) {
        gated_mlp_cache(b, shared, s.shared_features);
        b.scatter_tokens("mlp_output_reduce_scatter", b.hidden());
    }
    all_to_all(b, PhaseKind::combine, "combine", CommunicationKind::expert_combine, moe,
               tensor(1, b.hidden()));
}

void moe_backward(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch) {
    const Sizes s = sizes(b, moe, batch);
    const GatedMlpNames& shared = shared_expert_names();
    b.begin(b.plan().ep > 1 ? PhaseKind::combine : PhaseKind::mlp);
    b.cast("combine.gradient_cast", b.own_tokens(), b.hidden());
    all_to_all(b, PhaseKind::combine, "combine.backward", CommunicationKind::expert_dispatch, moe,
               s.payload);
    b.begin(PhaseKind::mlp);
    if (s.shared_features > 0) {
        b.gather_tokens("mlp_gradient_all_gather", b.hidden());
        gated_mlp_backward_down(b, shared, s.shared_features);
    }
    gather_received(b, "expert_gradient_all_gather", s, s.payload);
    experts_backward_down(b, moe, s);
    if (s.shared_features > 0) {
        mlp_input_recompute(b, shared.gate_up);
    } else if (b.plan().recompute.norm) {
        b.rms_norm(norm::mlp.recompute, b.own_tokens(), b.hidden());
    }
    experts_backward_up(b, s);
    scatter_received(b, "expert_input_gradient_reduce_scatter", s);
    if (s.shared_features > 0) {
        gated_mlp_backward_up(b, shared, s.shared_features);
        b.scatter_tokens("mlp_input_gradient_reduce_scatter", b.hidden());
    }
    all_to_all(b, PhaseKind::dispatch, "dispatch.backward", CommunicationKind::expert_combine, moe,
               tensor(1, b.hidden()));
}

void moe_weight_gradients(PhaseBuilder& b, const MoeSpec& moe, const BatchShape& batch) {
    const Sizes s = sizes(b, moe, batch);
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.begin(PhaseKind::mlp);
    if (s.shared_features > 0) b.wgrad(linear::shared_down.wgrad, hidden, s.shared_features, T);
    gather_transpose(b, linear::experts_down.gradient_transpose, s);
    grouped(b, linear::experts_down.wgrad, s.at, hidden, s.features, GroupLayout::k_grouped);
    gather_transpose(b, linear::experts_gate_up.input_transpose, s);
    grouped(b, linear::experts_gate_up.wgrad, s.at, 2 * s.features, hidden, GroupLayout::k_grouped);
    if (s.shared_features > 0) {
        b.wgrad(linear::shared_gate_up.wgrad, 2 * s.shared_features, hidden, T);
    }
}

}  // namespace orrery
