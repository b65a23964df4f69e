#pragma once
// How a training job is spread over ranks. rank = (stage_slot x dp + dp index) x cp x tp
// + cp index x tp + tp index, stage_slot being the pipeline rank; an expert-parallel group is `ep`
// consecutive data-parallel ranks of one pipeline rank.

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/operator.hpp"
#include "model/model_spec.hpp"

namespace orrery {

// What is recomputed in the backward pass instead of being kept.
struct Recompute {
    bool norm = false;  // RMSNorm outputs
    bool mla_up_projection = false;
    bool swiglu = false;  // SwiGLU outputs (its inputs are kept, in FP8 with fp8_block)
    bool full = false;    // whole layers: only layer inputs are kept
};

// The model pieces one pipeline stage (model chunk) holds, in forward order.
struct StageLayout {
    bool embedding = false;
    std::vector<std::int32_t> layers;  // indices into ModelSpec::layers
    std::int32_t mtp_modules = 0;      // each with its own pass through the head
    bool head = false;                 // final norm, output head, loss
};

struct ParallelPlan {
    std::int64_t tp = 1, pp = 1, dp = 1, ep = 1, cp = 1;
    std::int64_t micro_batch_size = 1;      // sequences
    std::string schedule = "1f1b";          // a name of make_schedule
    std::int64_t virtual_stages = 1;        // model chunks a rank, for schedules that choose
    Precision precision = Precision::bf16;  // of linear layers' GEMMs
    Recompute recompute;
    std::int64_t zero_stage = 1;      // 0: optimizer replicated; 1: its state sharded over dp
    std::vector<StageLayout> stages;  // one per pipeline stage: stage_count() of them
    // Device memory taken before the first tensor: CUDA context, library handles, NCCL channels.
    Sourced<Bytes> framework_memory;

    std::int64_t ranks() const { return pp * dp * cp * tp; }
};

// Model chunks a rank holds of one copy of the model: 2 for dualpipe_v and zb_v, virtual_stages for
// interleaved_1f1b (2 where that is 1) and for schedules this layer does not know, 1 for the
// others.
std::int64_t chunks_per_rank(const ParallelPlan& plan);
// Pipeline stages one copy of the model is cut into: pp x chunks_per_rank.
std::int64_t stage_count(const ParallelPlan& plan);

// Even placement where nothing is named: layers in order, the remainder on the first stages,
// embedding on the first stage, MTP and head on the last.
std::vector<StageLayout> default_stages(const ModelSpec& model, std::int64_t stages);
// ceil(layers / stages) layers a stage from the front while one is left for each stage behind, so
// that the last stage, which has MTP and both heads, has the fewest. DeepSeek-V3 on 16 stages:
// embedding, 3 dense and 1 MoE layer; 14 x 4 MoE layers; 1 MoE layer, MTP and heads. An assumption:
// its report (arXiv:2412.19437 section 3.2.3) names what is on the outer stages, but no counts.
std::vector<StageLayout> front_loaded_stages(const ModelSpec& model, std::int64_t stages);

// Throws InputError, naming the keys of `node`, where the plan does not divide: heads by tp,
// experts by ep, dp by ep, the sequence by tp x cp, every layer on exactly one stage, embedding
// first, head last, more than a million GPUs, ...
void check_plan(const ModelSpec& model, const ParallelPlan& plan, std::int64_t sequence_length,
                const ConfigNode& node);

}  // namespace orrery
