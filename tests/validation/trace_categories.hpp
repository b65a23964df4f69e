#pragma once
// DeepSeek-V3's traced MoE layer lowered, its operators sorted into the trace's phases and kernel
// categories.

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "../unit/model/models.hpp"
#include "model/lowering.hpp"

namespace orrery::test {

using CellKey = std::pair<std::string, std::string>;  // phase, category
struct Cell {
    double kernels = 0;
    double microseconds = 0;
};

// Small kernels of the router and of copies cannot be told apart one by one.
inline std::string merged(const std::string& category) {
    const bool small = category == "elementwise_misc" || category == "router_topk";
    return small ? "elementwise_and_router" : category;
}

inline std::string memory_category(const MemoryOp& op, std::string_view name) {
    using enum MemoryOpKind;
    switch (op.kind) {
        case rms_norm:
        case rms_norm_backward:
            return "rmsnorm";
        case swiglu:
        case swiglu_backward:
            return "swiglu";
        case permute:
        case unpermute:
            return "moe_permute";
        case attention_preprocess:
        case attention_postprocess:
            return "core_attention";
        case cast_fp8:
        case cast_transpose:
        case cast_back:
            return "quant_cast_transpose";
        case transpose:  // scales of expert rows are turned by a plain copy
            return name.starts_with("experts_") && name.ends_with("scale_transpose")
                       ? "elementwise_and_router"
                       : "quant_cast_transpose";
        case rope:
            return "rope_copy";
        case copy: {
            const bool heads =
                name == "key_copy" || name == "key_gradient_copy" || name == "value_gradient_copy";
            return heads ? "rope_copy" : "elementwise_and_router";
        }
        default:
            return "elementwise_and_router";
    }
}

inline std::string category(const Operator& op) {
    if (const auto* m = std::get_if<MemoryOp>(&op.shape)) return memory_category(*m, op.name);
    if (std::holds_alternative<Attention>(op.shape)) return "core_attention";
    if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) {
        return g->layout == GroupLayout::k_grouped ? "gemm_fp8_wgrad" : "gemm_fp8_grouped";
    }
    const Gemm& g = std::get<Gemm>(op.shape);
    if (g.precision == Precision::bf16) return "gemm_bf16_router";
    return g.accumulate ? "gemm_fp8_wgrad" : "gemm_fp8_dense";
}

inline std::string phase_name(PhaseKind kind, Pass pass) {
    const char* letter = pass == Pass::forward          ? "(F)"
                         : pass == Pass::backward_input ? "(B)"
                                                        : "(W)";
    switch (kind) {
        case PhaseKind::attention:
            return std::string("attn") + letter;
        case PhaseKind::mlp:
            return std::string("mlp") + letter;
        case PhaseKind::dispatch:
            return std::string("dispatch") + letter;
        default:
            return std::string("combine") + letter;
    }
}

// Sums over one MoE layer's compute operators; `microseconds` prices one.
template <class Price>
std::map<CellKey, Cell> lowered_cells(Price microseconds) {
    const ModelSpec model = deepseek_v3();
    std::map<CellKey, Cell> cells;
    for (const Pass pass : {Pass::forward, Pass::backward_input, Pass::backward_weight}) {
        for (const Phase& phase :
             lower_layer(model, model.layers.back(), deepseek_v3_plan(), pass, {})) {
            for (const Operator& op : phase.operators) {
                if (std::holds_alternative<Communication>(op.shape)) continue;
                Cell& cell = cells[{phase_name(phase.kind, pass), category(op)}];
                const auto* memory = std::get_if<MemoryOp>(&op.shape);
                cell.kernels += memory ? static_cast<double>(memory->launches) : 1;
                cell.microseconds += microseconds(op);
            }
        }
    }
    return cells;
}

}  // namespace orrery::test
