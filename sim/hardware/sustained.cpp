#include "hardware/sustained.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/attention_time.hpp"
#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery {

namespace {

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

KernelTable::Position position_of(const Gemm& g) {
    return shape_position(static_cast<double>(g.m), static_cast<double>(g.n),
                          static_cast<double>(g.k));
}

// The dense GEMM a grouped one is like: all rows at once, or one group's weight gradient.
Gemm as_dense(const GroupedGemm& g) {
    if (g.layout != GroupLayout::k_grouped) return {g.rows, g.n, g.k, g.precision, false};
    return {g.n, g.k, g.rows / std::max<std::int64_t>(1, g.groups), g.precision, true};
}

}  // namespace

SustainedTimes::SustainedTimes(const AcceleratorProfile& profile, const Burst& burst)
    : all_sms_(profile.sms.value.value()) {
    for (const DataTable* table : profile.find_tables("sustained")) {
        if (known_ && table->from.origin != origin_) break;  // weaker than the first
        known_ = true;
        origin_ = table->from.origin;
        for (std::size_t row = 0; row < table->rows(); ++row) read_row(*table, row, burst);
    }
    std::map<bool, std::vector<double>> gemms, memories;
    for (const auto& [key, points] : mix_) {
        const auto values = points.values();
        auto& list = gemms[std::get<2>(key)];
        list.insert(list.end(), values.begin(), values.end());
    }
    for (const auto& [all, kinds] : kinds_) {
        for (const auto& [kind, value] : kinds) memories[all].push_back(value);
    }
    for (const auto& [all, list] : gemms) typical_gemm_[all] = median(list);
    for (const auto& [all, list] : memories) typical_memory_[all] = median(list);
}

void SustainedTimes::read_row(const DataTable& table, std::size_t row, const Burst& burst) {
    const std::string load = table.text(row, "load", "");
    const auto value = [&](const char* column) { return table.numbers[row][table.column(column)]; };
    const auto count = [&](const char* column) { return static_cast<std::int64_t>(value(column)); };
    const std::string where = fmt::format("{}: rows[{}]", table.file, row);
    const double time = value("time_us") * 1e-6;
    const bool alone = load == "alone";
    if (load == "decode_mix") return;  // hardware/decode_load.hpp
    if (!alone && load != "layer_mix" && load != "layer_mix_112") {
        throw InputError(
            fmt::format("{}.load = \"{}\": must be layer_mix, layer_mix_112, decode_mix or alone",
                        where, load));
    }
    const bool all = load == "layer_mix" || (alone && value("sm") >= all_sms_);
    const std::string name = table.text(row, "operator", "");
    const std::string op_class = table.text(row, "class", "");
    if (op_class == "attention") {
        attention_[parse_attention_pass(name, where + ".operator")].try_emplace(
            load, time * 1e6 / value("burst_us"));
        return;
    }
    if (op_class == "grouped_gemm") {
        const GroupLayout layout = parse_layout(name, where + ".operator");
        grouped_[{layout, all}].add(shape_position(value("m"), value("n"), value("k")),
                                    std::max(1.0, time * 1e6 / value("burst_us")));
        return;
    }
    if (op_class == "memory") {
        MemoryOp op;
        for (int kind = 0; kind <= static_cast<int>(MemoryOpKind::attention_postprocess); ++kind) {
            op.kind = static_cast<MemoryOpKind>(kind);
            if (to_string(op.kind) == name) break;
        }
        op.rows = count("m");
        op.columns = count("n");
        op.read = Bytes(value("bytes"));
        kinds_[all][name] = time / burst({"", op}, all_sms_);
        return;
    }
    const Precision precision =
        parse_precision(table.text(row, "precision", ""), where + ".precision");
    const Gemm gemm{count("m"), count("n"), count("k"), precision, name == "gemm_accumulate"};
    auto& target = (alone ? alone_ : mix_)[{precision, gemm.accumulate, all}];
    target.add(position_of(gemm), std::max(1.0, time / burst({"", gemm}, value("sm"))));
}

SustainedTimes::Factor SustainedTimes::gemm(const Gemm& gemm, bool all_sms) const {
    const auto at = position_of(gemm);
    for (const auto* tables : {&mix_, &alone_}) {
        for (const bool all : {all_sms, !all_sms}) {
            const auto found = tables->find({gemm.precision, gemm.accumulate, all});
            if (found == tables->end()) continue;
            return {found->second.read(at).value,
                    all == all_sms ? origin_ : weakest(origin_, Origin::derived)};
        }
    }
    if (gemm.accumulate) {
        Gemm plain = gemm;
        plain.accumulate = false;
        return {this->gemm(plain, all_sms).value, weakest(origin_, Origin::derived)};
    }
    const auto typical = typical_gemm_.find(true);
    return {typical == typical_gemm_.end() ? 1 : typical->second,
            weakest(origin_, Origin::derived)};
}

SustainedTimes::Factor SustainedTimes::memory(MemoryOpKind kind, bool all_sms) const {
    for (const bool all : {all_sms, !all_sms}) {
        const auto kinds = kinds_.find(all);
        if (kinds == kinds_.end()) continue;
        const auto found = kinds->second.find(to_string(kind));
        if (found != kinds->second.end()) return {found->second, origin_};
        return {typical_memory_.at(all), weakest(origin_, Origin::derived)};
    }
    return {1, weakest(origin_, Origin::derived)};
}

SustainedTimes::Factor SustainedTimes::factor(const Operator& op, bool all_sms) const {
    if (const auto* g = std::get_if<Gemm>(&op.shape)) return gemm(*g, all_sms);
    if (const auto* g = std::get_if<GroupedGemm>(&op.shape)) return grouped(*g, all_sms);
    if (const auto* m = std::get_if<MemoryOp>(&op.shape)) return memory(m->kind, all_sms);
    if (const auto* a = std::get_if<Attention>(&op.shape)) return attention(a->pass, all_sms);
    return {1, Origin::assumed};
}

SustainedTimes::Factor SustainedTimes::grouped(const GroupedGemm& g, bool all_sms) const {
    const auto rows = static_cast<double>(g.rows);
    for (const bool all : {all_sms, !all_sms}) {
        const auto found = grouped_.find({g.layout, all});
        if (found == grouped_.end()) continue;
        const auto at = shape_position(rows, static_cast<double>(g.n), static_cast<double>(g.k));
        return {found->second.read(at).value,
                all == all_sms ? origin_ : weakest(origin_, Origin::derived)};
    }
    return {gemm(as_dense(g), all_sms).value, weakest(origin_, Origin::derived)};
}

SustainedTimes::Factor SustainedTimes::attention(AttentionPass pass, bool all_sms) const {
    if (const auto known = attention_.find(pass); known != attention_.end()) {
        const auto& loads = known->second;
        const char* wanted = all_sms ? "layer_mix" : "layer_mix_112";
        const auto found = loads.find(wanted);
        const auto mix = found != loads.end() ? found : loads.find("layer_mix");
        const auto& [load, factor] = mix != loads.end() ? *mix : *loads.begin();
        return {factor, load == wanted || (all_sms && load == "alone")
                            ? origin_
                            : weakest(origin_, Origin::derived)};
    }
    for (const bool all : {all_sms, !all_sms}) {
        const auto typical = typical_gemm_.find(all);
        if (typical != typical_gemm_.end()) {
            return {typical->second, weakest(origin_, Origin::derived)};
        }
    }
    return {1, weakest(origin_, Origin::derived)};
}

void SustainedTimes::apply(Estimate& estimate, const Operator& op, double sms) const {
    if (!known_) {
        estimate.origin = weakest(estimate.origin, Origin::assumed);
        estimate.rule += ", no sustained time known: as in a burst";
        return;
    }
    const Factor factor = this->factor(op, sms >= all_sms_);
    estimate.time *= factor.value;
    estimate.origin = weakest(estimate.origin, factor.origin);
    estimate.rule += ", sustained";
}

}  // namespace orrery
