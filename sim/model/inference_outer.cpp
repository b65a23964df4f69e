// What an inference iteration runs outside its layers: embedding, head and sampling, the front of
// an MTP module, messages between stages. The vocabulary is divided by tp; with tp > 1 the logits
// are gathered.

#include "model/inference_blocks.hpp"

namespace orrery {

namespace {

void embed(InferenceBuilder& b, const ModelSpec& model, std::int64_t tokens) {
    const double rows = 2.0 * static_cast<double>(tokens) * static_cast<double>(model.hidden);
    b->memory("embedding", MemoryOpKind::embedding, tokens, model.hidden,
              8.0 * static_cast<double>(tokens) + rows, rows);
    b.collective("embedding_all_reduce", CommunicationKind::all_reduce, tokens, model.hidden);
}

}  // namespace

std::vector<Operator> lower_inference_embedding(const ModelSpec& model, const InferencePlan& plan,
                                                std::int64_t tokens) {
    InferenceBuilder b(model, plan, tokens);
    embed(b, model, tokens);
    return b.take();
}

std::vector<Operator> lower_inference_head(const ModelSpec& model, const InferencePlan& plan,
                                           std::int64_t rows) {
    InferenceBuilder b(model, plan, rows);
    b->rms_norm(norm::last.forward, rows, model.hidden, 2);
    b->gemm_bf16(linear::head.forward, rows, ceil_div(model.vocabulary, plan.tp), model.hidden);
    b.collective("logits_all_gather", CommunicationKind::all_gather, rows, model.vocabulary);
    b->memory("sampling", MemoryOpKind::cross_entropy, rows, model.vocabulary,
              2.0 * static_cast<double>(rows) * static_cast<double>(model.vocabulary),
              8.0 * static_cast<double>(rows));
    return b.take();
}

std::vector<Operator> lower_inference_mtp(const ModelSpec& model, const InferencePlan& plan,
                                          std::int64_t tokens) {
    InferenceBuilder b(model, plan, tokens);
    const std::int64_t hidden = model.hidden;
    embed(b, model, tokens);
    b->rms_norm(norm::embedding.forward, tokens, hidden);
    b->rms_norm(norm::hidden.forward, tokens, hidden);
    b->elementwise("mtp_concat", MemoryOpKind::copy, tokens, 2 * hidden, 1, 1);
    b.linear(linear::eh, tokens, hidden, 2 * hidden);
    return b.take();
}

Operator inference_send(const ModelSpec& model, const InferencePlan& plan, std::int64_t tokens) {
    const double rows = static_cast<double>(ceil_div(tokens, plan.tp));
    return {"pipeline_send",
            Communication{.kind = CommunicationKind::send_recv,
                          .group = Group::pipeline,
                          .ranks = 2,
                          .bytes = Bytes(2.0 * rows * static_cast<double>(model.hidden))}};
}

}  // namespace orrery
