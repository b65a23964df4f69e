// The end of a step. With D parameters replicated over r_d ranks and E expert parameters over r_e
// (dense: dp cp copies; expert: dp / ep cp copies, `copies` pipeline ranks holding the same stage):
//   reduce-scatter of FP32 gradients      4 D over r_d, 4 E over r_e      (ZeRO-1)
//   gradient norm                         shard read, one number all-reduced over all ranks
//   AdamW on the shard D/r_d + E/r_e      FP32 gradient and master, moments of adam_moment_bytes,
//                                         BF16 parameter out
//   all-gather of parameters in BF16      2 D over r_d, 2 E over r_e
//   FP8 copies of the linear layers       2 B read, 1 B written a parameter
//   gradients cleared                     4 D + 4 E
// Assumed, as no source says it: parameters travel in BF16 and FP8 copies are rebuilt on each rank.
// Turned copies are not kept: the traced run turns its weights anew in every micro-batch. Gradients
// are FP32 throughout (DeepSeek-V3 report, section 3.3.3). Without ZeRO (zero_stage 0) gradients
// are all-reduced and every rank updates everything.

#include "model/lowering_blocks.hpp"
#include "model/memory.hpp"

namespace orrery {

namespace {

struct Shares {
    double dense = 0, expert = 0;  // parameters on this rank
    std::int64_t dense_ranks = 1, expert_ranks = 1;
    bool sharded = true;
    double shard() const {
        if (!sharded) return dense + expert;
        return dense / static_cast<double>(dense_ranks) +
               expert / static_cast<double>(expert_ranks);
    }
};

void collective(PhaseBuilder& b, const char* name, CommunicationKind kind, Group group,
                std::int64_t ranks, double bytes) {
    if (ranks > 1 && bytes > 0) b.tensor_collective(name, kind, group, ranks, Bytes(bytes));
}

void flat(PhaseBuilder& b, const char* name, MemoryOpKind kind, double parameters, double read,
          double written) {
    if (parameters <= 0) return;
    b.memory(name, kind, static_cast<std::int64_t>(parameters), 1, read * parameters,
             written * parameters);
}

}  // namespace

OptimizerStep lower_optimizer(const ModelSpec& model, const ParallelPlan& plan,
                              const std::vector<StageLayout>& held_stages, std::int64_t copies) {
    const StageParameters held = rank_parameters(model, plan, held_stages);
    Shares s{.dense = held.dense, .expert = held.expert};
    s.dense_ranks = plan.dp * plan.cp * copies;
    s.expert_ranks = plan.dp / plan.ep * plan.cp * copies;
    s.sharded = plan.zero_stage > 0;
    const double moment = static_cast<double>(adam_moment_bytes(plan));

    PhaseBuilder b(plan, model, {});
    b.begin(PhaseKind::optimizer);
    const CommunicationKind reduce =
        s.sharded ? CommunicationKind::reduce_scatter : CommunicationKind::all_reduce;
    collective(b, "gradient_reduce", reduce, Group::data, s.dense_ranks, 4 * s.dense);
    collective(b, "expert_gradient_reduce", reduce, Group::data_expert, s.expert_ranks,
               4 * s.expert);
    flat(b, "gradient_norm", MemoryOpKind::norm_reduce, s.shard(), 4, 0);
    collective(b, "gradient_norm_all_reduce", CommunicationKind::all_reduce, Group::none,
               plan.ranks(), 4);
    flat(b, "adamw", MemoryOpKind::adamw, s.shard(), 8 + 2 * moment, 6 + 2 * moment);
    if (s.sharded) {
        collective(b, "parameter_all_gather", CommunicationKind::all_gather, Group::data,
                   s.dense_ranks, 2 * s.dense);
        collective(b, "expert_parameter_all_gather", CommunicationKind::all_gather,
                   Group::data_expert, s.expert_ranks, 2 * s.expert);
    }
    if (b.fp8()) flat(b, "weight_cast", MemoryOpKind::cast_fp8, held.linear, 2, 1);
    flat(b, "gradient_zero", MemoryOpKind::zero, s.dense + s.expert, 0, 4);
    return {b.take()};
}

}  // namespace orrery
