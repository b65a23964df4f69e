#include "hardware/decode_load.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery {

DecodeLoad::DecodeLoad(const AcceleratorProfile& profile) {
    for (const DataTable* table : profile.find_tables("sustained")) {
        if (known_ && table->from.origin != origin_) break;  // weaker than the first
        for (std::size_t row = 0; row < table->rows(); ++row) {
            if (table->text(row, "load", "") != "decode_mix") continue;
            known_ = true;
            origin_ = table->from.origin;
            read_row(*table, row);
        }
    }
    for (auto& [name, values] : classes_) std::sort(values.begin(), values.end());
}

void DecodeLoad::read_row(const DataTable& table, std::size_t row) {
    const auto value = [&](const char* column) { return table.numbers[row][table.column(column)]; };
    const std::string where = fmt::format("{}: rows[{}]", table.file, row);
    const std::string op_class = table.text(row, "class", ""),
                      name = table.text(row, "operator", "");
    const double factor = value("time_us") / value("burst_us");
    const auto at = shape_position(value("m"), value("n"), value("k"));
    classes_[op_class].push_back(factor);
    if (op_class == "gemm") {
        gemm_[parse_precision(table.text(row, "precision", ""), where + ".precision")].add(at,
                                                                                           factor);
    } else if (op_class == "grouped_gemm") {
        grouped_[parse_layout(name, where + ".operator")].add(at, factor);
    } else if (op_class == "memory") {
        kinds_[name] = factor;
    }
}

DecodeLoad::Factor DecodeLoad::typical(const char* of) const {
    auto found = classes_.find(of);
    if (found == classes_.end()) found = classes_.find("gemm");
    if (found == classes_.end()) return {};
    return {found->second[found->second.size() / 2], false};
}

DecodeLoad::Factor DecodeLoad::factor(const Operator& op) const {
    const auto position = [](const auto& shape, std::int64_t rows) {
        return shape_position(static_cast<double>(rows), static_cast<double>(shape.n),
                              static_cast<double>(shape.k));
    };
    if (const auto* g = std::get_if<Gemm>(&op.shape)) {
        const auto found = gemm_.find(g->precision);
        if (found == gemm_.end()) return typical("gemm");
        return {found->second.read(position(*g, g->m)).value, true};
    }
    if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) {
        const auto found = grouped_.find(g->layout);
        if (found == grouped_.end()) return typical("grouped_gemm");
        return {found->second.read(position(*g, g->rows)).value, true};
    }
    if (const auto* a = std::get_if<Attention>(&op.shape)) {
        const bool own = a->pass == AttentionPass::decode && classes_.contains("attention");
        return {typical(own ? "attention" : "gemm").value, own};
    }
    if (const auto* m = std::get_if<MemoryOp>(&op.shape)) {
        const auto found = kinds_.find(to_string(m->kind));
        return found == kinds_.end() ? typical("memory") : Factor{found->second, true};
    }
    return {};
}

void DecodeLoad::apply(Estimate& estimate, const Operator& op) const {
    const Factor f = factor(op);
    estimate.time *= f.value;
    estimate.origin = weakest(estimate.origin, f.own ? origin_ : weakest(origin_, Origin::derived));
    estimate.rule += ", sustained in decoding";
}

}  // namespace orrery
