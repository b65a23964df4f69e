#pragma once
// Small questions about lowered phases.

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "model/lowering.hpp"

namespace orrery::test {

// One letter an operator, launches behind it where more than one; phases in brackets by kind.
inline std::string letter(const Operator& op) {
    if (std::holds_alternative<Gemm>(op.shape)) return "G";
    if (std::holds_alternative<GroupedGemm>(op.shape)) return "E";
    if (std::holds_alternative<Attention>(op.shape)) return "F";
    if (std::holds_alternative<Communication>(op.shape)) return "@";
    static constexpr std::string_view letters = "NnCXTKSsRAcrPUbxazdpq";  // by MemoryOpKind
    const auto& m = std::get<MemoryOp>(op.shape);
    std::string text(1, letters.at(static_cast<std::size_t>(m.kind)));
    if (m.launches > 1) text += std::to_string(m.launches);
    return text;
}

inline std::string signature(const Phase& phase) {
    std::string text;
    for (const Operator& op : phase.operators) text += letter(op);
    return text;
}

inline std::string without_spaces(std::string text) {
    std::erase_if(text, [](unsigned char c) { return std::isspace(c); });
    return text;
}

inline const Phase& phase_of(const std::vector<Phase>& phases, PhaseKind kind) {
    return *std::find_if(phases.begin(), phases.end(),
                         [&](const Phase& p) { return p.kind == kind; });
}

inline std::vector<PhaseKind> kinds(const std::vector<Phase>& phases) {
    std::vector<PhaseKind> list;
    for (const Phase& phase : phases) list.push_back(phase.kind);
    return list;
}

// Kernels launched: what a profiler counts.
inline std::int64_t launches(const Phase& phase) {
    std::int64_t count = 0;
    for (const Operator& op : phase.operators) {
        const auto* memory = std::get_if<MemoryOp>(&op.shape);
        count += memory ? memory->launches : 1;
    }
    return count;
}

template <class Predicate>
double total_flops(const std::vector<Phase>& phases, Predicate counts) {
    double sum = 0;
    for (const Phase& phase : phases) {
        for (const Operator& op : phase.operators) {
            if (counts(op)) sum += flops(op).value();
        }
    }
    return sum;
}
inline double total_flops(const std::vector<Phase>& phases) {
    return total_flops(phases, [](const Operator&) { return true; });
}
inline double attention_flops(const std::vector<Phase>& phases) {
    return total_flops(phases,
                       [](const Operator& op) { return class_of(op) == OperatorClass::attention; });
}

inline const Operator* find(const std::vector<Phase>& phases, std::string_view name) {
    for (const Phase& phase : phases) {
        for (const Operator& op : phase.operators) {
            if (op.name == name) return &op;
        }
    }
    return nullptr;
}
inline const MemoryOp& memory(const std::vector<Phase>& phases, std::string_view name) {
    return std::get<MemoryOp>(find(phases, name)->shape);
}

}  // namespace orrery::test
