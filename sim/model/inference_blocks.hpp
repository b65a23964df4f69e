#pragma once
// What the inference lowering's files share: a list of operators and the sizes of memory-bound
// kernels (lowering_builder.hpp states their bytes).

#include <utility>
#include <vector>

#include "model/inference_lowering.hpp"
#include "model/lowering_blocks.hpp"
#include "model/lowering_builder.hpp"
#include "model/lowering_names.hpp"

namespace orrery {

// A PhaseBuilder whose phases are one list. `tokens`: of the attention group.
class InferenceBuilder {
  public:
    InferenceBuilder(const ModelSpec& model, const InferencePlan& plan, std::int64_t tokens)
        : plan_(plan), builder_(parallel_, model, {1, tokens, 1.0}) {
        parallel_.precision = plan.precision;
        builder_.begin(PhaseKind::attention);
    }
    InferenceBuilder(const InferenceBuilder&) = delete;

    PhaseBuilder* operator->() { return &builder_; }
    // Input to a linear layer's precision, then the GEMM.
    void linear(const LinearNames& names, std::int64_t rows, std::int64_t out, std::int64_t in) {
        builder_.cast(names.cast, rows, in);
        builder_.gemm(names.forward, rows, out, in);
    }
    // BF16 [rows, columns] over the tensor group.
    void collective(const char* name, CommunicationKind kind, std::int64_t rows,
                    std::int64_t columns) {
        if (plan_.tp == 1) return;
        builder_.add(name, Communication{.kind = kind,
                                         .group = Group::tensor,
                                         .ranks = plan_.tp,
                                         .bytes = Bytes(2.0 * static_cast<double>(rows) *
                                                        static_cast<double>(columns))});
    }
    std::vector<Operator> take() {
        std::vector<Phase> phases = builder_.take();
        builder_.begin(PhaseKind::attention);
        return phases.empty() ? std::vector<Operator>{} : std::move(phases.front().operators);
    }

  private:
    const InferencePlan& plan_;
    ParallelPlan parallel_;
    PhaseBuilder builder_;
};

// Tokens a rank routes and normalises on its own: 1 / tp of the group's where dispatch takes them.
inline std::int64_t own_tokens(const InferencePlan& plan, std::int64_t tokens) {
    return plan.all_to_all() ? ceil_div(tokens, plan.tp) : tokens;
}

void lower_attention_in(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                        const InferencePlan& plan, std::int64_t tokens);
void lower_attention_out(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                         const InferencePlan& plan, std::int64_t tokens);
void lower_inference_mlp(InferenceBuilder& b, const ModelSpec& model, const LayerSpec& layer,
                         const InferencePlan& plan, std::int64_t tokens);
void lower_inference_experts(InferenceBuilder& b, const ModelSpec& model, const MoeSpec& moe,
                             const InferencePlan& plan, const ExpertLoad& load,
                             std::int64_t tokens);

}  // namespace orrery
