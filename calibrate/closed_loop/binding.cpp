#include "calibrate/closed_loop/binding.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery::closed_loop {
namespace {

using calibrate::MemoryCase;
using K = MemoryOpKind;

// Activations X and output gradients dY of the linear layers.
struct LinearInputs {
    const char *x, *dy;
};
const std::map<std::string_view, LinearInputs>& linear_inputs() {
    static const std::map<std::string_view, LinearInputs> table = {
        {"q_a_proj", {"attention_norm.y", "q_a_norm.dx"}},
        {"kv_a_proj", {"attention_norm.y", "latent.gradient"}},
        {"q_b_proj", {"q_a_norm.y", "attention.dq"}},
        {"kv_b_proj", {"kv_a_norm.y", "key_value.gradient"}},
        {"o_proj", {"attention.o", "o_proj.dy"}},
        {"shared_gate_up_proj", {"mlp_norm.y", "shared_swiglu.dx"}},
        {"shared_down_proj", {"shared_swiglu.h", "output.gradient"}},
        {"experts_gate_up_proj", {"received.rows", "experts_swiglu.dx"}},
        {"experts_down_proj", {"experts_swiglu.h", "received.gradient"}},
        {"router_gate", {"mlp_norm.y", "router.dscores"}}};
    return table;
}

// Everything that is not a linear layer's own.
const std::map<std::string_view, Wiring>& other_wiring() {
    static const std::map<std::string_view, Wiring> table = {
        {"attention_norm", {"layer.x", "", "attention_norm.y"}},
        {"attention_norm.recompute", {"layer.x", "", "attention_norm.y"}},
        {"position_ids", {"positions", "", "positions.copy"}},
        {"q_a_norm", {"q_a_proj.y", "", "q_a_norm.y"}},
        {"q_a_norm.recompute", {"q_a_proj.y", "", "q_a_norm.y"}},
        {"kv_latent_copy", {"kv_a_proj.y", "", "kv_latent"}},
        {"kv_a_norm", {"kv_latent", "", "kv_a_norm.y"}},
        {"kv_a_norm.recompute", {"kv_latent", "", "kv_a_norm.y"}},
        {"rope_key_copy", {"kv_a_proj.y", "", "rope_key"}},
        {"rope_key", {"rope_key", "", "rope_key"}},
        {"key_copy", {"kv_b_proj.y", "", "attention.k"}},
        {"rope_key_broadcast", {"rope_key", "", "attention.k.rope"}},
        {"rope_query", {"q_b_proj.y", "", "q_b_proj.y"}},
        {"attention_output.cast", {"attention.o", "", "attention.o.kept"}},
        {"attention_output_scale", {"o_proj.y", "o_proj.y", "attention.scaled"}},
        {"mlp_norm", {"attention.scaled", "", "mlp_norm.y"}},
        {"mlp_norm.recompute", {"attention.scaled", "", "mlp_norm.y"}},
        {"router_gate", {"mlp_norm.y", "router_gate.w", "router_gate.y"}},
        {"router_scores", {"router.scores", "", "router.scores.biased"}},
        {"router_topk", {"router.scores", "", "router.chosen"}},
        {"router_balance", {"router.scores", "", "router.counts"}},
        {"dispatch.cast", {"mlp_norm.y", "", "shared_gate_up_proj.q"}},
        {"permute_mapping", {"router.map", "", "router.map.rows"}},
        {"permute", {"received.q", "", "experts_gate_up_proj.q"}},
        {"routing_weight_scale", {"router.weights", "", "router.weights.scaled"}},
        {"experts_swiglu", {"experts_gate_up_proj.y", "", "experts_down_proj.q"}},
        {"unpermute", {"experts_down_proj.y", "", "experts.output"}},
        {"shared_swiglu", {"shared_gate_up_proj.y", "", "shared_down_proj.q"}},
        {"experts_swiglu_input.cast", {"experts_gate_up_proj.y", "", "experts_swiglu_input.q"}},
        {"shared_swiglu_input.cast", {"shared_gate_up_proj.y", "", "shared_swiglu_input.q"}},
        {"combine.gradient_cast", {"output.gradient", "", "shared_down_proj.dq"}},
        {"shared_swiglu_input.cast_back", {"shared_swiglu_input.q", "", "shared_gate_up_proj.y"}},
        {"shared_swiglu.recompute", {"shared_gate_up_proj.y", "", "shared_down_proj.xt"}},
        {"shared_swiglu.backward",
         {"shared_down_proj.dx", "shared_gate_up_proj.y", "shared_swiglu.dx"}},
        {"experts_swiglu_input.cast_back",
         {"experts_swiglu_input.q", "", "experts_gate_up_proj.y"}},
        {"permute.gradient", {"received.dq", "", "experts_down_proj.dq"}},
        {"experts_swiglu.backward",
         {"experts_down_proj.dx", "experts_gate_up_proj.y", "experts_swiglu.dx"}},
        {"routing_weight.backward",
         {"experts_down_proj.dx", "experts_gate_up_proj.y", "router.dweights"}},
        {"routing_weight_scale.backward", {"router.weights", "", "router.weights.scaled"}},
        {"unpermute.gradient", {"experts_gate_up_proj.dx", "", "experts.gradient"}},
        {"mlp_input.cast_back", {"shared_gate_up_proj.q", "", "mlp_input"}},
        {"router.backward", {"router.scores", "", "router.scores.gradient"}},
        {"router_gradient_add", {"router_gate.dx", "shared_gate_up_proj.dx", "mlp_norm.dy"}},
        {"mlp_norm.backward", {"mlp_norm.dy", "attention.scaled", "mlp_norm.dx"}},
        {"mlp_norm.weight_gradient", {"norm.partials", "norm.partials", "norm.weight_gradient"}},
        {"mlp_norm.weight_gradient_add",
         {"norm.weight_gradient", "norm.main_gradient", "norm.main_gradient"}},
        {"attention_output_scale.backward", {"mlp_norm.dx", "mlp_norm.dx", "o_proj.dy"}},
        {"attention_output.cast_back", {"attention.o.kept", "", "attention.o"}},
        {"core_attention", {"", "", ""}},
        {"core_attention.backward", {"", "", ""}},
        {"core_attention.backward_preprocess", {"", "", ""}},
        {"core_attention.backward_postprocess", {"", "", ""}},
        {"rope_query.backward", {"attention.dq", "", "attention.dq"}},
        {"rope_key_sum", {"attention.dk", "attention.dk", "rope_key.gradient"}},
        {"rope_key.backward", {"rope_key.gradient", "", "rope_key.gradient"}},
        {"key_gradient_copy", {"attention.dk", "", "key_value.gradient"}},
        {"value_gradient_copy", {"attention.dv", "", "key_value.gradient"}},
        {"kv_a_norm.backward", {"kv_b_proj.dx", "kv_latent", "kv_a_norm.dx"}},
        {"kv_a_norm.weight_gradient", {"norm.partials", "norm.partials", "norm.weight_gradient"}},
        {"kv_a_norm.weight_gradient_add",
         {"norm.weight_gradient", "norm.main_gradient", "norm.main_gradient"}},
        {"q_a_norm.backward", {"q_b_proj.dx", "q_a_proj.y", "q_a_norm.dx"}},
        {"q_a_norm.weight_gradient", {"norm.partials", "norm.partials", "norm.weight_gradient"}},
        {"q_a_norm.weight_gradient_add",
         {"norm.weight_gradient", "norm.main_gradient", "norm.main_gradient"}},
        {"latent_gradient_zero", {"", "", "latent.parts"}},
        {"rope_key_gradient_copy", {"rope_key.gradient", "", "latent.parts"}},
        {"kv_latent_gradient_copy", {"kv_a_norm.dx", "", "latent.parts"}},
        {"latent_gradient_add", {"latent.parts", "latent.parts", "latent.gradient"}},
        {"attention_input_gradient_add", {"q_a_proj.dx", "kv_a_proj.dx", "attention_norm.dy"}},
        {"attention_norm.backward", {"attention_norm.dy", "layer.x", "attention_norm.dx"}},
        {"attention_norm.weight_gradient",
         {"norm.partials", "norm.partials", "norm.weight_gradient"}},
        {"attention_norm.weight_gradient_add",
         {"norm.weight_gradient", "norm.main_gradient", "norm.main_gradient"}}};
    return table;
}

// ".cast" of "q_a_proj.cast" and the like; "" where the name is the layer's own.
Wiring linear_wiring(const std::string& layer, std::string_view part, const LinearInputs& in) {
    const auto own = [&](const char* what) { return layer + what; };
    if (part.empty() || part == ".recompute") return {own(".q"), own(".w"), own(".y")};
    if (part == ".cast") return {in.x, "", own(".q")};
    if (part == ".scale_transpose") return {own(".q.scales"), "", own(".q.turned")};
    if (part == ".weight_transpose") return {own(".w"), "", own(".wt")};
    if (part == ".gradient_cast") return {in.dy, "", own(".dq")};
    if (part == ".gradient_scale_transpose") return {own(".dq.scales"), "", own(".dq.turned")};
    if (part == ".dgrad") return {own(".dq"), own(".wt"), own(".dx")};
    if (part == ".input_cast_transpose") return {in.x, "", own(".xt")};
    if (part == ".gradient_cast_transpose") return {in.dy, "", own(".dyt")};
    if (part == ".wgrad") return {own(".dyt"), own(".xt"), own(".gradient")};
    throw InputError(fmt::format("{}{}: the closed loop binds no such operator", layer, part));
}

std::int64_t rounded(double rows, std::int64_t step) {
    return std::max(step, static_cast<std::int64_t>(std::llround(rows / double(step))) * step);
}

// The kind's kernel over as many rows as make `bytes`; shapes that a kernel does not take become
// ones of the same bytes that it does.
MemoryCase case_of(K kind, std::int64_t rows, std::int64_t columns, double bytes) {
    std::int64_t step = 8;  // vectors of 16 bytes behind one another in a workspace
    switch (kind) {
        case K::transpose:
            if (columns % 128 != 0) columns = 128;
            step = 128;
            break;
        case K::cast_transpose:
            step = 128;
            break;
        case K::rope:  // a row is a head of a token
            columns = 64;
            step = bytes > 4e6 ? 128 : 8;
            break;
        case K::router:
            columns = 256;
            break;
        case K::add:
        case K::copy:
        case K::zero:
            if (columns % 8 != 0) columns = 8;
            break;
        default:
            break;
    }
    const double row_bytes = calibrate::memory_bytes({kind, 1024, columns}) / 1024;
    const double exact = bytes / row_bytes;
    // Within 2 %: the operator's own shape, as calibration measures it (index bytes and the like).
    const bool same = std::abs(exact / double(rows) - 1) < 0.02 && rows % step == 0;
    return {kind, same ? rows : rounded(exact, step), columns};
}

}  // namespace

Wiring wiring(std::string_view name) {
    const auto other = other_wiring().find(name);
    if (other != other_wiring().end()) return other->second;
    const std::size_t dot = std::min(name.find('.'), name.size());
    const auto linear = linear_inputs().find(name.substr(0, dot));
    if (linear == linear_inputs().end()) {
        throw InputError(fmt::format("{}: the closed loop binds no such operator", name));
    }
    return linear_wiring(std::string(linear->first), name.substr(dot), linear->second);
}

std::vector<MemoryCase> kernel_cases(const MemoryOp& op) {
    if (op.kind == K::attention_preprocess || op.kind == K::attention_postprocess) return {};
    const double bytes = (op.read + op.written).value();
    if (op.launches <= 1) return {case_of(op.kind, op.rows, op.columns, bytes)};
    std::vector<MemoryCase> cases;
    double left = bytes;
    if (op.kind == K::router) {
        cases.push_back({K::router, op.rows, 256});
        left = std::max(0.0, bytes - calibrate::memory_bytes(cases[0]));
    }
    const auto copies = op.launches - static_cast<std::int64_t>(cases.size());
    for (std::int64_t i = 0; i < copies; ++i) {
        cases.push_back(case_of(K::copy, 1, 8, left / double(copies)));
    }
    return cases;
}

std::string_view holder(std::string_view name) {
    constexpr std::string_view kCore = "core_attention.backward";
    return name.starts_with(kCore) ? kCore : name;
}

}  // namespace orrery::closed_loop
