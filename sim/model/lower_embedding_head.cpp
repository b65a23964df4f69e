// The ends of the model and the front of an MTP module; all in BF16 (DeepSeek-V3 report, section
// 3.3.1) but the MTP projection, a linear layer like the others.
//
// Tensor parallelism splits the vocabulary: each rank gathers the rows it holds for all tokens of
// the group and the sums are reduce-scattered; the head sees all tokens and a share of the
// vocabulary, and the loss exchanges three FP32 numbers a token (maximum, sum, target's logit).
//
// Cross-entropy is one fused operator, not cut into chunks of tokens: a first pass over the BF16
// logits for maximum and sum, a second that turns them into their gradient in place. So the forward
// pass of the head holds it, and the backward passes are GEMMs. The embedding's gradient is a
// scatter-add into the FP32 main gradient and runs in the input-gradient pass, as an automatic
// differentiator does: only linear layers hand their weight gradients to the weight pass.

#include "model/lowering_blocks.hpp"

namespace orrery {

namespace {

double tensor(std::int64_t rows, std::int64_t columns) {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns);
}

void embedding_forward(PhaseBuilder& b) {
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.memory("embedding", MemoryOpKind::embedding, T, hidden,
             8.0 * static_cast<double>(T) + tensor(T, hidden), tensor(T, hidden));
    b.scatter_tokens("embedding_reduce_scatter", hidden);
}

void embedding_backward(PhaseBuilder& b) {
    const std::int64_t T = b.tokens(), hidden = b.hidden();
    b.gather_tokens("embedding_gradient_all_gather", hidden);
    b.memory("embedding.backward", MemoryOpKind::embedding, T, hidden,
             8.0 * static_cast<double>(T) + 3 * tensor(T, hidden), 2 * tensor(T, hidden));
}

void head_forward(PhaseBuilder& b, std::int64_t vocabulary) {
    const std::int64_t T = b.tokens();
    b.rms_norm(norm::last.forward, b.own_tokens(), b.hidden(), 2);
    b.gather_tokens("head_input_all_gather", b.hidden());
    b.gemm_bf16(linear::head.forward, T, vocabulary, b.hidden());
    if (b.plan().tp > 1) {
        b.tensor_collective("loss_all_reduce", CommunicationKind::all_reduce, Group::tensor,
                            b.plan().tp, Bytes(12.0 * static_cast<double>(T)));
    }
    b.memory("cross_entropy", MemoryOpKind::cross_entropy, T, vocabulary, 2 * tensor(T, vocabulary),
             tensor(T, vocabulary));
}

void head_backward(PhaseBuilder& b, std::int64_t vocabulary) {
    b.gemm_bf16(linear::head.dgrad, b.tokens(), b.hidden(), vocabulary);
    b.scatter_tokens("head_input_gradient_reduce_scatter", b.hidden());
    if (b.plan().recompute.norm || b.plan().recompute.full) {
        b.rms_norm(norm::last.recompute, b.own_tokens(), b.hidden());
        b.gather_tokens("head_input_all_gather", b.hidden());
    }
    b.rms_norm_backward(norm::last, b.own_tokens(), b.hidden());
}

// The two norms and their results side by side: [own tokens, 2 hidden].
void mtp_norms(PhaseBuilder& b, bool recompute) {
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    b.rms_norm(recompute ? norm::embedding.recompute : norm::embedding.forward, t, hidden);
    b.rms_norm(recompute ? norm::hidden.recompute : norm::hidden.forward, t, hidden);
    b.elementwise("mtp_concat", MemoryOpKind::copy, t, 2 * hidden, 1, 1);
}

void mtp_forward(PhaseBuilder& b) {
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    embedding_forward(b);  // of the tokens one further on; the table is the main model's
    mtp_norms(b, false);
    b.cast(linear::eh.cast, t, 2 * hidden);
    b.scales(linear::eh.scales, t, 2 * hidden);
    b.gemm(linear::eh.forward, t, hidden, 2 * hidden);
}

void mtp_backward(PhaseBuilder& b) {
    const std::int64_t t = b.own_tokens(), hidden = b.hidden();
    b.cast(linear::eh.gradient_cast, t, hidden);
    b.weight_transpose(linear::eh.weight_transpose, hidden, 2 * hidden);
    b.scales(linear::eh.gradient_scales, t, hidden);
    b.gemm(linear::eh.dgrad, t, 2 * hidden, hidden);
    if (b.plan().recompute.norm || b.plan().recompute.full) mtp_norms(b, true);
    b.cast_transpose(linear::eh.input_transpose, t, 2 * hidden);
    b.cast_transpose(linear::eh.gradient_transpose, t, hidden);
    b.rms_norm_backward(norm::hidden, t, hidden);
    b.rms_norm_backward(norm::embedding, t, hidden);
    embedding_backward(b);
}

}  // namespace

std::vector<Phase> lower_embedding(const ModelSpec& model, const ParallelPlan& plan, Pass pass,
                                   const BatchShape& batch) {
    PhaseBuilder b(plan, model, batch);
    b.begin(PhaseKind::embedding);
    if (pass == Pass::forward) embedding_forward(b);
    if (pass == Pass::backward_input) embedding_backward(b);
    return b.take();
}

std::vector<Phase> lower_head(const ModelSpec& model, const ParallelPlan& plan, Pass pass,
                              const BatchShape& batch) {
    PhaseBuilder b(plan, model, batch);
    const std::int64_t vocabulary = ceil_div(model.vocabulary, plan.tp);
    b.begin(PhaseKind::head);
    switch (pass) {
        case Pass::forward:
            head_forward(b, vocabulary);
            break;
        case Pass::backward_input:
            head_backward(b, vocabulary);
            break;
        case Pass::backward_weight:
            b.wgrad_bf16(linear::head.wgrad, vocabulary, b.hidden(), b.tokens());
            break;
    }
    return b.take();
}

std::vector<Phase> lower_mtp_projection(const ModelSpec& model, const ParallelPlan& plan, Pass pass,
                                        const BatchShape& batch) {
    PhaseBuilder b(plan, model, batch);
    b.begin(PhaseKind::mtp_projection);
    switch (pass) {
        case Pass::forward:
            mtp_forward(b);
            break;
        case Pass::backward_input:
            mtp_backward(b);
            break;
        case Pass::backward_weight:
            b.wgrad(linear::eh.wgrad, b.hidden(), 2 * b.hidden(), b.own_tokens());
            break;
    }
    return b.take();
}

}  // namespace orrery
