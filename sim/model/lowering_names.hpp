#pragma once
// Names of a linear layer's operators, all derived from the layer's own name.

namespace orrery {

struct LinearNames {
    const char* forward;             // the GEMM Y = X W^T
    const char* dgrad;               // dX = dY W
    const char* wgrad;               // dW += dY^T X
    const char* recompute;           // the forward GEMM again, in the backward pass
    const char* cast;                // X to FP8, 1x128 scales
    const char* scales;              // scales of X to column-major
    const char* weight_transpose;    // W (FP8) turned for the input gradient, or for the forward
    const char* gradient_cast;       // dY to FP8
    const char* gradient_scales;     // scales of dY to column-major
    const char* input_transpose;     // X cast along tokens, for the weight gradient
    const char* gradient_transpose;  // dY likewise
};

#define ORRERY_LINEAR_NAMES(id)                                                           \
    LinearNames {                                                                         \
        id, id ".dgrad", id ".wgrad", id ".recompute", id ".cast", id ".scale_transpose", \
            id ".weight_transpose", id ".gradient_cast", id ".gradient_scale_transpose",  \
            id ".input_cast_transpose", id ".gradient_cast_transpose"                     \
    }
namespace linear {
inline constexpr LinearNames q = ORRERY_LINEAR_NAMES("q_proj");
inline constexpr LinearNames q_a = ORRERY_LINEAR_NAMES("q_a_proj");
inline constexpr LinearNames q_b = ORRERY_LINEAR_NAMES("q_b_proj");
inline constexpr LinearNames kv_a = ORRERY_LINEAR_NAMES("kv_a_proj");
inline constexpr LinearNames kv_b = ORRERY_LINEAR_NAMES("kv_b_proj");
inline constexpr LinearNames qkv = ORRERY_LINEAR_NAMES("qkv_proj");
inline constexpr LinearNames o = ORRERY_LINEAR_NAMES("o_proj");
inline constexpr LinearNames gate_up = ORRERY_LINEAR_NAMES("gate_up_proj");
inline constexpr LinearNames down = ORRERY_LINEAR_NAMES("down_proj");
inline constexpr LinearNames shared_gate_up = ORRERY_LINEAR_NAMES("shared_gate_up_proj");
inline constexpr LinearNames shared_down = ORRERY_LINEAR_NAMES("shared_down_proj");
inline constexpr LinearNames experts_gate_up = ORRERY_LINEAR_NAMES("experts_gate_up_proj");
inline constexpr LinearNames experts_down = ORRERY_LINEAR_NAMES("experts_down_proj");
inline constexpr LinearNames router_gate = ORRERY_LINEAR_NAMES("router_gate");
inline constexpr LinearNames shared_gate = ORRERY_LINEAR_NAMES("shared_expert_gate");
inline constexpr LinearNames indexer_q = ORRERY_LINEAR_NAMES("indexer_q_proj");
inline constexpr LinearNames indexer_k = ORRERY_LINEAR_NAMES("indexer_k_proj");
inline constexpr LinearNames indexer_weights = ORRERY_LINEAR_NAMES("indexer_weights_proj");
inline constexpr LinearNames head = ORRERY_LINEAR_NAMES("output_head");
inline constexpr LinearNames eh = ORRERY_LINEAR_NAMES("eh_proj");
}  // namespace linear
#undef ORRERY_LINEAR_NAMES

// An RMSNorm.
struct NormNames {
    const char *forward, *recompute, *backward, *finalize, *accumulate;
};

#define ORRERY_NORM_NAMES(id)                                                                 \
    NormNames {                                                                               \
        id, id ".recompute", id ".backward", id ".weight_gradient", id ".weight_gradient_add" \
    }
namespace norm {
inline constexpr NormNames attention = ORRERY_NORM_NAMES("attention_norm");
inline constexpr NormNames mlp = ORRERY_NORM_NAMES("mlp_norm");
inline constexpr NormNames q_a = ORRERY_NORM_NAMES("q_a_norm");
inline constexpr NormNames kv_a = ORRERY_NORM_NAMES("kv_a_norm");
inline constexpr NormNames q = ORRERY_NORM_NAMES("q_norm");
inline constexpr NormNames k = ORRERY_NORM_NAMES("k_norm");
inline constexpr NormNames last = ORRERY_NORM_NAMES("final_norm");
inline constexpr NormNames embedding = ORRERY_NORM_NAMES("enorm");
inline constexpr NormNames hidden = ORRERY_NORM_NAMES("hnorm");
}  // namespace norm
#undef ORRERY_NORM_NAMES

}  // namespace orrery
