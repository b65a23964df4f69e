#pragma once
// Sizes that the activation and the buffer formulas share. T: tokens of a micro-batch on a rank
// (sequences x length / cp); t = T / tp: the part that is a rank's own under sequence parallelism;
// a linear layer's input of C features is kept as
//     cached(rows, C) = 2 rows C              bf16
//                       rows C                fp8_tensor
//                       rows (C + 4 ceil(C / 128))   fp8_block: FP32 scale for 1x128
// (DeepSeek-V3 report, section 3.3.3: activations cached for the weight gradient in FP8).

#include <cstdint>

#include "model/lowering_blocks.hpp"
#include "model/model_spec.hpp"
#include "model/parallel_plan.hpp"

namespace orrery {

// Bytes of a tensor of `rows` x `columns` elements.
inline double tensor_bytes(double rows, std::int64_t columns, double element = 2) {
    return rows * static_cast<double>(columns) * element;
}

struct MemorySizes {
    MemorySizes(const ModelSpec& model, const ParallelPlan& plan, const BatchShape& batch)
        : builder(plan, model, batch),
          batch_shape(batch),
          tokens(static_cast<double>(builder.tokens())),
          own_tokens(static_cast<double>(builder.own_tokens())),
          hidden(model.hidden) {}

    double cached(double rows, std::int64_t columns) const {
        if (!builder.fp8()) return tensor_bytes(rows, columns);
        const std::int64_t scales = builder.block_scales() ? 4 * ceil_div(columns, 128) : 0;
        return tensor_bytes(rows, columns + scales, 1);
    }
    std::int64_t per_tensor_rank(std::int64_t features) const {
        return ceil_div(features, builder.plan().tp);
    }
    ExpertRows experts(const MoeSpec& moe) const { return expert_rows(builder, moe, batch_shape); }

    PhaseBuilder builder;
    BatchShape batch_shape;
    double tokens, own_tokens;
    std::int64_t hidden;
};

}  // namespace orrery
