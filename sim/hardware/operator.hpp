#pragma once
// An operator: one kernel or one communication as plain data, the unit that is lowered, priced,
// calibrated and traced. Shapes are what the device sees; nothing here knows models or plans.
// flops() and bytes() stand here once; the shape is also the calibration key.

#include <cstdint>
#include <string_view>
#include <variant>

#include "core/quantity.hpp"

namespace orrery {

// Arithmetic of a GEMM's operands; outputs are BF16, or FP32 where accumulated into a gradient.
enum class Precision : std::uint8_t {
    bf16,
    fp8_tensor,  // E4M3, one scale a tensor
    fp8_block,   // E4M3, 1x128 scales on activations, 128x128 on weights
    // Weights only; activations and arithmetic stay BF16, weights are widened on the way in.
    int8_weight,  // one BF16 scale an output feature
    int4_weight,  // one BF16 scale for 128 input features of an output feature
};
constexpr bool runs_in_fp8(Precision p) {
    return p == Precision::fp8_tensor || p == Precision::fp8_block;
}
constexpr bool weight_only(Precision p) {
    return p == Precision::int8_weight || p == Precision::int4_weight;
}

// Y[m,n] (+)= X[m,k] W[n,k]^T.
struct Gemm {
    std::int64_t m = 0, n = 0, k = 0;
    Precision precision = Precision::bf16;
    bool accumulate = false;  // weight gradient: adds into an FP32 [m,n]; both FP8 operands 1x128
    constexpr auto operator<=>(const Gemm&) const = default;
};

// `groups` GEMMs in one kernel. contiguous: rows of all groups together (forward, input gradient);
// masked: at most rows/groups a group (decode); k_grouped: weight gradients, rows summed over.
enum class GroupLayout : std::uint8_t { contiguous, masked, k_grouped };
struct GroupedGemm {
    std::int64_t groups = 0;
    std::int64_t rows = 0;  // tokens over all groups: m of contiguous and masked, k of k_grouped
    std::int64_t n = 0;     // contiguous: output features; k_grouped: rows of the weight gradient
    std::int64_t k = 0;  // contiguous: input features;  k_grouped: columns of the weight gradient
    Precision precision = Precision::bf16;
    GroupLayout layout = GroupLayout::contiguous;
    constexpr auto operator<=>(const GroupedGemm&) const = default;
};

enum class AttentionPass : std::uint8_t { forward, backward, decode };
struct Attention {
    AttentionPass pass = AttentionPass::forward;
    std::int64_t sequences = 0;
    std::int64_t query_length = 0, key_length = 0;  // tokens of one sequence
    std::int64_t query_heads = 0, key_heads = 0;
    std::int64_t query_key_dim = 0, value_dim = 0;  // per head
    bool causal = true;
    std::int64_t window = 0;           // keys a query may see, itself included; 0: all
    std::int64_t key_value_bits = 16;  // of a cached element; widened to BF16 on the way in
    constexpr auto operator<=>(const Attention&) const = default;
};

// Kernels bound by memory traffic (router and loss included).
enum class MemoryOpKind : std::uint8_t {
    rms_norm,
    rms_norm_backward,
    cast_fp8,        // BF16 -> E4M3 with 1x128 scales
    cast_transpose,  // per-channel cast with transpose, for weight gradients
    transpose,       // FP8 re-layout
    cast_back,       // FP8 -> BF16 (cached activations)
    swiglu,
    swiglu_backward,
    rope,
    add,        // residuals, gradients
    copy,       // concatenations, splits, layout
    router,     // scores, group-limited top-k, bookkeeping
    permute,    // expand tokens to expert rows
    unpermute,  // weighted reduce of expert rows to tokens
    embedding,  // gather, or scatter-add of its gradient
    cross_entropy,
    adamw,
    zero,                   // clear a buffer
    norm_reduce,            // gradient norm for clipping
    attention_preprocess,   // attention backward: rows of dO * O, FP32 dQ cleared
    attention_postprocess,  // attention backward: FP32 dQ to BF16
};
struct MemoryOp {
    MemoryOpKind kind = MemoryOpKind::add;
    std::int64_t rows = 0;     // tokens or expert rows; parameters for adamw
    std::int64_t columns = 0;  // features; 1 for flat buffers
    Bytes read;
    Bytes written;
    std::int64_t launches = 1;  // kernels it stands for, run one after the other
    constexpr auto operator<=>(const MemoryOp&) const = default;
};

enum class CommunicationKind : std::uint8_t {
    all_reduce,
    all_gather,
    reduce_scatter,
    all_to_all,
    broadcast,
    send_recv,        // a pipeline send
    expert_dispatch,  // tokens to their experts' ranks
    expert_combine,   // expert outputs back, reduced
};
// Which ranks take part; the plan turns this into rank lists. none: every rank.
enum class Group : std::uint8_t { none, tensor, expert, data, data_expert, context, pipeline };
struct Communication {
    CommunicationKind kind = CommunicationKind::send_recv;
    Group group = Group::none;
    std::int64_t ranks = 0;  // members of the group
    // Bytes of the whole buffer: all_reduce = the buffer; all_gather = gathered result;
    // reduce_scatter = buffer before; all_to_all = what one rank sends to others; send_recv =
    // message. expert_*: payload bytes of one token (scales included).
    Bytes bytes;
    // expert_* only: tokens one rank dispatches, experts per token, experts in all, and the most
    // nodes a token may reach (0: no limit).
    std::int64_t tokens = 0, top_k = 0, experts = 0, node_limit = 0;
    constexpr auto operator<=>(const Communication&) const = default;
};

// Coarse class of an operator, for contention surfaces and breakdowns.
enum class OperatorClass : std::uint8_t { gemm, grouped_gemm, attention, memory, communication };

struct Operator {
    const char* name = "";  // static text, the field's term: "q_b_proj", "dispatch"
    std::variant<Gemm, GroupedGemm, Attention, MemoryOp, Communication> shape;
};

OperatorClass class_of(const Operator& op);
std::string_view to_string(OperatorClass c);
std::string_view to_string(Precision p);
std::string_view to_string(MemoryOpKind k);
std::string_view to_string(CommunicationKind k);
std::string_view to_string(Group g);

// Floating point operations, multiply-add = 2; causal attention counts the lower triangle
// (S^2/2 pairs a head); attention backward is 2.5 x forward at equal head sizes: five products
// against two. Memory operators and communication count 0.
Flops flops(const Operator& op);
// Bytes that must move to and from device memory at least once: operands and results.
Bytes bytes(const Operator& op);

}  // namespace orrery
