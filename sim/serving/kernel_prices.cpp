#include "serving/kernel_prices.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/missing_shapes.hpp"
#include "hardware/coverage.hpp"

namespace orrery {

namespace {

std::int64_t launches_of(const Operator& op) {
    const auto* memory = std::get_if<MemoryOp>(&op.shape);
    return memory ? memory->launches : 1;
}

}  // namespace

KernelPrices::KernelPrices(const EngineSpec& spec, const OperatorTimeModel& compute)
    : spec_(spec), compute_(compute), cost_(spec.cluster) {}

void KernelPrices::note(const std::string& subject, const std::string& rule, Origin origin,
                        double spread) {
    Rule& entry = rules_[{subject, rule}];
    entry.origin = weakest(entry.origin, origin);
    entry.spread = std::max(entry.spread, spread);
    ++entry.operators;
    weakest_ = weakest(weakest_, origin);
}

Seconds KernelPrices::alone(const Operator& op, std::int64_t sms, bool decoding) {
    const auto [it, added] = alone_.try_emplace({op.shape, sms, decoding}, 0.0);
    if (!added) return Seconds(it->second);
    try {
        const bool burst = spec_.clock == Clock::burst;
        const Clock clock = decoding && !burst ? Clock::decoding : spec_.clock;
        const std::int64_t gpus = spec_.slowest_pace ? spec_.gpus_that_meet() : 0;
        const Estimate estimate = compute_.time(op, {sms, clock, gpus});
        note(std::string(to_string(class_of(op))), estimate.rule, estimate.origin, estimate.spread);
        it->second = estimate.time.value();
    } catch (const MissingShapesError& e) {
        refused_.insert(e.what());
        const double all = compute_.profile().sms.value.value();
        if (const auto shape = missing_shape(op, static_cast<double>(sms), all)) {
            missing_.insert(*shape);
        }
    }
    return Seconds(it->second);
}

Seconds KernelPrices::communication(const Operator& op) {
    const auto& shape = std::get<Communication>(op.shape);
    const std::int64_t per_node = spec_.gpus_per_node();
    GroupPlacement placement{shape.ranks, std::min(shape.ranks, per_node)};
    if (shape.group == Group::pipeline) {
        placement = {2, spec_.plan.tp * spec_.plan.dp < per_node ? 2 : 1};
    }
    const CommunicationEstimate estimate = cost_.time(shape, placement);
    note(std::string(to_string(shape.kind)), estimate.rule, estimate.origin, 0);
    return estimate.time;
}

PhaseTime KernelPrices::price(const std::vector<Operator>& operators,
                              const PhaseConditions& conditions) {
    const auto total = static_cast<std::int64_t>(compute_.profile().sms.value.value());
    PhaseTime result;
    for (const Operator& op : operators) {
        const OperatorClass c = class_of(op);
        const bool elastic = c != OperatorClass::gemm && c != OperatorClass::grouped_gemm;
        for (std::size_t e = 0; e < result.seconds.size(); ++e) {
            if (c == OperatorClass::communication) {
                result.seconds[e] += communication(op).value();
                continue;
            }
            const std::int64_t held =
                elastic && e == 0 ? 0 : conditions.held_sms;  // elastic kernels take freed SMs
            double time = alone(op, held == 0 ? 0 : total - held, conditions.decoding).value();
            if (e > 0 && held > 0) {
                const Sourced<Ratio> slowdown = compute_.slowdown(
                    c, {held, e == 1 ? conditions.dispatch_traffic : conditions.combine_traffic});
                time *= slowdown.value.value();
                note(fmt::format("{} beside communication", to_string(c)), slowdown.from.source,
                     slowdown.from.origin, 0);
            }
            result.seconds[e] += time + conditions.gap.value() * double(launches_of(op));
        }
    }
    return result;
}

std::int64_t KernelPrices::launches(const std::vector<Operator>& operators) {
    std::int64_t sum = 0;
    for (const Operator& op : operators) sum += launches_of(op);
    return sum;
}

std::vector<SourceUsed> KernelPrices::sources() const {
    std::vector<SourceUsed> result;
    for (const auto& [key, rule] : rules_) {
        std::string value = fmt::format("{} operators", rule.operators);
        if (rule.spread > 0) value += fmt::format(", +-{:.1f} %", rule.spread * 100.0);
        result.push_back({key.first, value, {rule.origin, key.second}});
    }
    return result;
}

void KernelPrices::check_all_priced() const {
    if (refused_.empty()) return;
    std::string line = *refused_.begin();
    if (refused_.size() > 1) line += fmt::format(" (and {} more operators)", refused_.size() - 1);
    throw MissingShapesError(line, {missing_.begin(), missing_.end()});
}

}  // namespace orrery
