#include "hardware/coverage.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace orrery {
namespace {

constexpr double kGemmReach = 1.5, kMemoryReach = 3, kAttentionReach = 1, kDecodeReach = 2;
constexpr double kSmReach = 8;

double log2_of(double value) { return std::log2(std::max(value, 1.0)); }

template <class Q>
double number(Q value) {
    return static_cast<double>(value);
}

std::string gemm_key(std::string_view precision, bool accumulate) {
    return fmt::format("gemm {} {}", precision, accumulate);
}
std::string grouped_key(std::string_view layout, std::string_view precision) {
    return fmt::format("grouped_gemm {} {}", layout, precision);
}
std::string attention_key(std::string_view pass, bool causal, double dim, double value_dim) {
    return fmt::format("attention {} {} {}/{}", pass, causal, dim, value_dim);
}

std::string_view name_of(GroupLayout layout) {
    return layout == GroupLayout::contiguous ? "contiguous"
           : layout == GroupLayout::masked   ? "masked"
                                             : "k_grouped";
}
std::string_view name_of(AttentionPass pass) {
    return pass == AttentionPass::forward    ? "forward"
           : pass == AttentionPass::backward ? "backward"
                                             : "decode";
}

}  // namespace

TableCoverage::TableCoverage(const AcceleratorProfile& profile)
    : all_sms_(profile.sms.value.value()) {
    read_gemms(profile);
    read_grouped(profile);
    read_attention(profile);
    read_memory(profile);
}

void TableCoverage::read_gemms(const AcceleratorProfile& profile) {
    for (const DataTable* t : profile.find_tables("gemm")) {
        for (std::size_t i = 0; i < t->rows(); ++i) {
            rows_[gemm_key(t->text(i, "precision", ""), t->number(i, "accumulate", 0) != 0)]
                .push_back({shape_position(t->number(i, "m", 1), t->number(i, "n", 1),
                                           t->number(i, "k", 1)),
                            t->number(i, "sm", all_sms_)});
        }
    }
}

void TableCoverage::read_grouped(const AcceleratorProfile& profile) {
    for (const DataTable* t : profile.find_tables("grouped_gemm")) {
        for (std::size_t i = 0; i < t->rows(); ++i) {
            rows_[grouped_key(t->text(i, "layout", ""), t->text(i, "precision", ""))].push_back(
                {shape_position(t->number(i, "rows_per_group", 1), t->number(i, "n", 1),
                                t->number(i, "k", 1)),
                 t->number(i, "sm", all_sms_)});
        }
    }
}

void TableCoverage::read_attention(const AcceleratorProfile& profile) {
    for (const DataTable* t : profile.find_tables("attention")) {
        const char* length = t->has_column("query_length") ? "query_length" : "length";
        for (std::size_t i = 0; i < t->rows(); ++i) {
            rows_[attention_key(t->text(i, "pass", ""), t->number(i, "causal", 1) != 0,
                                t->number(i, "query_key_dim", 0), t->number(i, "value_dim", 0))]
                .push_back({{log2_of(t->number(i, length, 1))}, all_sms_});
        }
    }
    for (const DataTable* t : profile.find_tables("attention_decode")) {
        if (!t->has_column("key_length")) {
            decode_rates_ = true;  // of absorbed MLA
            continue;
        }
        for (std::size_t i = 0; i < t->rows(); ++i) {
            rows_[attention_key("decode", true, t->number(i, "query_key_dim", 0),
                                t->number(i, "value_dim", 0))]
                .push_back({{log2_of(t->number(i, "sequences", 1)),
                             log2_of(t->number(i, "key_length", 1)), 0},
                            all_sms_});
        }
    }
}

void TableCoverage::read_memory(const AcceleratorProfile& profile) {
    for (const DataTable* t : profile.find_tables("memory")) {
        for (std::size_t i = 0; i < t->rows(); ++i) {
            const double columns = t->number(i, "columns", 1);
            rows_["memory " + t->text(i, "kind", "")].push_back(
                {shape_position(t->number(i, "rows", 1) * columns, columns, 1), all_sms_});
        }
    }
}

// Near in shape, and near in SMs where fewer than all are asked for.
bool TableCoverage::near_rows(const Rows* rows, const Row& asked, double reach) const {
    if (rows == nullptr) return false;
    bool shape = false, sms = asked.sms >= all_sms_;
    for (const Row& row : *rows) {
        double square = 0;
        for (std::size_t axis = 0; axis < row.at.size(); ++axis) {
            square += (row.at[axis] - asked.at[axis]) * (row.at[axis] - asked.at[axis]);
        }
        shape = shape || square <= reach * reach;
        sms = sms || std::fabs(row.sms - asked.sms) <= kSmReach;
    }
    return shape && sms;
}

bool TableCoverage::near(const Operator& op, double sms) const {
    const auto known = [&](const std::string& key) {
        const auto at = rows_.find(key);
        return at == rows_.end() ? nullptr : &at->second;
    };
    if (const auto* g = std::get_if<Gemm>(&op.shape)) {
        return near_rows(known(gemm_key(to_string(g->precision), g->accumulate)),
                         {shape_position(number(g->m), number(g->n), number(g->k)), sms},
                         kGemmReach);
    }
    if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) {
        const double rows = number(g->rows) / std::max(1.0, number(g->groups));
        return near_rows(known(grouped_key(name_of(g->layout), to_string(g->precision))),
                         {shape_position(rows, number(g->n), number(g->k)), sms}, kGemmReach);
    }
    if (const auto* a = std::get_if<Attention>(&op.shape)) {
        const bool decode = a->pass == AttentionPass::decode;
        const bool latent = a->key_heads == 1 && a->query_key_dim == 576 && a->value_dim == 512;
        if (decode && latent && decode_rates_) return true;
        if (a->window > 0 && a->window < a->key_length) return false;
        const auto* rows = known(attention_key(name_of(a->pass), decode || a->causal,
                                               number(a->query_key_dim), number(a->value_dim)));
        if (decode) {
            return near_rows(
                rows,
                {{log2_of(number(a->sequences)), log2_of(number(a->key_length)), 0}, all_sms_},
                kDecodeReach);
        }
        return near_rows(rows, {{log2_of(number(a->key_length)), 0, 0}, all_sms_}, kAttentionReach);
    }
    if (const auto* m = std::get_if<MemoryOp>(&op.shape)) {
        if (!missing_shape(op, all_sms_, all_sms_)) return true;
        const double columns = number(m->columns);
        return near_rows(known(fmt::format("memory {}", to_string(m->kind))),
                         {shape_position(number(m->rows) * columns, columns, 1), all_sms_},
                         kMemoryReach);
    }
    return true;
}

std::optional<std::string> missing_shape(const Operator& op, double sms, double all_sms) {
    const std::string end = (sms < all_sms ? fmt::format(", \"sm\": {:.0f}", sms) : std::string()) +
                            fmt::format(", \"name\": \"{}\"}}", op.name);
    if (const auto* g = std::get_if<Gemm>(&op.shape)) {
        return fmt::format(
                   "{{\"kind\": \"gemm\", \"precision\": \"{}\", \"accumulate\": {}, \"m\": {}, "
                   "\"n\": {}, \"k\": {}",
                   to_string(g->precision), g->accumulate, g->m, g->n, g->k) +
               end;
    }
    if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) {
        return fmt::format(
                   "{{\"kind\": \"grouped_gemm\", \"layout\": \"{}\", \"precision\": \"{}\", "
                   "\"groups\": {}, \"rows_per_group\": {}, \"n\": {}, \"k\": {}",
                   name_of(g->layout), to_string(g->precision), g->groups,
                   (g->rows + g->groups - 1) / std::max<std::int64_t>(1, g->groups), g->n, g->k) +
               end;
    }
    if (const auto* a = std::get_if<Attention>(&op.shape)) {
        return fmt::format(
            "{{\"kind\": \"attention\", \"pass\": \"{}\", \"sequences\": {}, \"query_length\": {}, "
            "\"key_length\": {}, \"query_heads\": {}, \"key_heads\": {}, \"query_key_dim\": {}, "
            "\"value_dim\": {}, \"causal\": {}, \"window\": {}, \"name\": \"{}\"}}",
            name_of(a->pass), a->sequences, a->query_length, a->key_length, a->query_heads,
            a->key_heads, a->query_key_dim, a->value_dim, a->causal, a->window, op.name);
    }
    const auto* m = std::get_if<MemoryOp>(&op.shape);
    if (m == nullptr || m->launches > 1 || m->kind == MemoryOpKind::attention_preprocess ||
        m->kind == MemoryOpKind::attention_postprocess) {
        return std::nullopt;
    }
    return fmt::format(
        "{{\"kind\": \"memory\", \"operator\": \"{}\", \"rows\": {}, \"columns\": {}, \"name\": "
        "\"{}\"}}",
        to_string(m->kind), m->rows, m->columns, op.name);
}

}  // namespace orrery
