#include "study/operator_answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"
#include "hardware/attention_time.hpp"
#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"
#include "hardware/tile_fit.hpp"

namespace orrery {

OperatorAnswer answer_operator(const Operator& op, const Conditions& conditions,
                               const std::string& accelerator,
                               const std::filesystem::path& profiles) {
    const OperatorTimeModel model(load_accelerator(accelerator, profiles));
    const Estimate estimate = model.time(op, conditions);
    return {op.name,         model.profile().name, estimate.time, estimate.origin,
            estimate.spread, estimate.rule,        flops(op),     bytes(op)};
}

OperatorAnswer answer_communication(const Communication& op, GroupPlacement placement,
                                    const std::string& cluster,
                                    const std::filesystem::path& profiles) {
    const CommunicationCost cost(load_cluster(cluster, profiles));
    const ClusterProfile& known = cost.cluster();
    const auto per_node = static_cast<std::int64_t>(known.gpus_per_node.value.value());
    const auto all = static_cast<std::int64_t>(known.nodes.value.value()) * per_node;
    if (placement.ranks_per_node == 0)
        placement.ranks_per_node = std::min(placement.ranks, per_node);
    if (placement.ranks_per_node > per_node) {
        throw InputError(fmt::format("--ranks-per-node {}: {} has {} GPUs a node",
                                     placement.ranks_per_node, known.name, per_node));
    }
    const std::int64_t nodes =
        placement.ranks / std::max<std::int64_t>(1, placement.ranks_per_node);
    if (nodes * per_node > all) {
        throw InputError(fmt::format("--ranks {}: {} nodes needed, {} has {}", placement.ranks,
                                     nodes, known.name, all / per_node));
    }
    const CommunicationEstimate estimate = cost.time(op, placement);
    return {std::string(to_string(op.kind)),
            known.name,
            estimate.time,
            estimate.origin,
            0,
            estimate.rule,
            Flops(0),
            bytes(Operator{"", op})};
}

Precision precision_of(const std::string& text) { return parse_precision(text, "--precision"); }
GroupLayout layout_of(const std::string& text) { return parse_layout(text, "--layout"); }
AttentionPass attention_pass_of(const std::string& text) {
    return parse_attention_pass(text, "--pass");
}

MemoryOpKind memory_kind_of(const std::string& text) {
    std::string known;
    for (int i = 0; i <= static_cast<int>(MemoryOpKind::attention_postprocess); ++i) {
        const auto kind = static_cast<MemoryOpKind>(i);
        if (text == to_string(kind)) return kind;
        known += fmt::format("{}{}", known.empty() ? "" : ", ", to_string(kind));
    }
    throw InputError(fmt::format("--kind {}: must be one of: {}", text, known));
}

CommunicationKind communication_kind_of(const std::string& text) {
    for (int i = 0; i <= static_cast<int>(CommunicationKind::expert_combine); ++i) {
        const auto kind = static_cast<CommunicationKind>(i);
        if (text == to_string(kind)) return kind;
    }
    throw InputError(fmt::format("{}: is not a communication", text));
}

namespace {

std::vector<CrossCheck> cross_checks(const OperatorTimeModel& model) {
    std::vector<CrossCheck> result;
    for (const DataTable* table : model.profile().find_tables("gemm_cross_check")) {
        const auto m = table->column("m"), n = table->column("n"), k = table->column("k");
        const auto rate = table->column("TFLOPS");
        for (const auto& row : table->numbers) {
            const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
            const Gemm gemm{integer(m), integer(n), integer(k), Precision::fp8_block};
            const Operator op{"gemm", gemm};
            const bool twice = std::any_of(result.begin(), result.end(), [&](const CrossCheck& c) {
                return c.gemm == gemm && c.published == row[rate] * 1e12;
            });
            if (twice) continue;  // the H800 lists what the H100 lists
            result.push_back(
                {gemm, flops(op).value() / model.time(op, {}).time.value(), row[rate] * 1e12});
        }
    }
    return result;
}

std::vector<FittedRow> fit_rows(const AcceleratorProfile& profile) {
    std::vector<FittedRow> result;
    const GemmTimes times(profile);
    for (const Precision p : {Precision::bf16, Precision::fp8_tensor, Precision::fp8_block}) {
        const auto samples = tile_samples(profile, p);
        if (samples.empty()) continue;
        const TileFit fit = fit_tile_model(samples, times.device(), tile_start(profile, p));
        FittedRow row{p, {}, fit.error, tile_error(samples, times.device(), *times.constants(p))};
        for (const TileColumn& c : tile_columns()) {
            row.constants.emplace_back(c.name, fit.constants.*c.member / c.unit);
        }
        result.push_back(std::move(row));
    }
    return result;
}

}  // namespace

TableCheck check_tables(const std::string& accelerator, const std::filesystem::path& profiles,
                        bool fit) {
    const OperatorTimeModel model(load_accelerator(accelerator, profiles));
    TableCheck check;
    check.tables = model.leave_one_out();
    check.cross = cross_checks(model);
    if (fit) check.fitted = fit_rows(model.profile());
    return check;
}

}  // namespace orrery
