#include "training/pricing.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/missing_shapes.hpp"
#include "hardware/coverage.hpp"

namespace orrery {
namespace {

bool is_expert(CommunicationKind kind) {
    return kind == CommunicationKind::expert_dispatch || kind == CommunicationKind::expert_combine;
}

double launches(const Operator& op) {
    const auto* memory = std::get_if<MemoryOp>(&op.shape);
    return memory ? static_cast<double>(memory->launches) : 1.0;
}

}  // namespace

Pricing::Pricing(const OperatorTimeModel& compute, const CommunicationCost& communication,
                 const PlacementShape& placement, const Conditions& conditions,
                 std::int64_t communication_sms, const RoutedExperts* experts)
    : compute_(compute),
      communication_(communication),
      placement_(placement),
      conditions_(conditions),
      communication_sms_(communication_sms),
      experts_(experts),
      loads_(1) {}

void Pricing::note(const std::string& subject, const std::string& rule, Origin origin,
                   double spread) {
    Rule& entry = rules_[{subject, rule}];
    entry.origin = weakest(entry.origin, origin);
    entry.spread = std::max(entry.spread, spread);
    ++entry.operators;
    weakest_ = weakest(weakest_, origin);
}

std::uint8_t Pricing::environment(const CommunicationLoad& load) {
    for (std::size_t e = 1; e < loads_.size(); ++e) {
        if (loads_[e].sms == load.sms && loads_[e].bandwidth == load.bandwidth) {
            return static_cast<std::uint8_t>(e);
        }
    }
    // Priced after kernels (the optimizer's collectives, which run beside nothing), or one too
    // many: the environment with the closest traffic stands in.
    if (!durations_.empty() || loads_.size() == kMaxEnvironments) {
        std::size_t closest = 0;
        for (std::size_t e = 1; e < loads_.size(); ++e) {
            const auto distance = [&](std::size_t i) {
                return std::fabs((loads_[i].bandwidth - load.bandwidth).value());
            };
            if (closest == 0 || distance(e) < distance(closest)) closest = e;
        }
        return static_cast<std::uint8_t>(closest);
    }
    loads_.push_back(load);
    return static_cast<std::uint8_t>(loads_.size() - 1);
}

// Zero for an operator without a price.
Seconds Pricing::alone(const Operator& op, const Conditions& conditions, bool noted, bool covered) {
    const double all = compute_.profile().sms.value.value();
    if (covered && !compute_.near(op, conditions)) {
        const auto shape = missing_shape(op, static_cast<double>(conditions.sms), all);
        if (shape) missing_.insert(*shape);
    }
    try {
        const Estimate estimate = compute_.time(op, conditions);
        if (noted) {
            note(std::string(to_string(class_of(op))), estimate.rule, estimate.origin,
                 estimate.spread);
        }
        return estimate.time;
    } catch (const MissingShapesError& e) {
        refused_.push_back(e.what());
        return Seconds(0);
    }
}

void Pricing::check_all_priced() const {
    if (refused_.empty()) return;
    const std::set<std::string> distinct(refused_.begin(), refused_.end());
    std::string line = *distinct.begin();
    if (distinct.size() > 1) line += fmt::format(" (and {} more operators)", distinct.size() - 1);
    throw MissingShapesError(line, missing_shapes());
}

const OperatorDurations& Pricing::durations(const Operator& op, ChunkKind chunk, bool noted) {
    const auto [it, added] = durations_.try_emplace({op.shape, chunk});
    if (!added) return it->second;
    const OperatorClass c = class_of(op);
    const auto total_sms = static_cast<std::int64_t>(compute_.profile().sms.value.value());
    const bool elastic = c != OperatorClass::gemm && c != OperatorClass::grouped_gemm;
    for (int e = 0; e < environments(); ++e) {
        const CommunicationLoad& load = loads_[static_cast<std::size_t>(e)];
        const bool beside = e > 0 && chunk == ChunkKind::overlapped;
        std::int64_t sms = total_sms;
        if (chunk == ChunkKind::overlapped) sms -= elastic ? load.sms : communication_sms_;
        Conditions conditions = conditions_;
        conditions.sms = sms;
        const Seconds time = alone(op, conditions, noted && e == 0, noted);
        double factor = 1.0;
        if (beside) {
            const Sourced<Ratio> slowdown = compute_.slowdown(c, load);
            factor = slowdown.value.value();
            if (noted) {
                note(fmt::format("{} beside communication", to_string(c)), slowdown.from.source,
                     slowdown.from.origin, 0);
            }
        }
        // The stream idles between an operator's kernel (or kernels) and the next.
        const Seconds gap = compute_.profile().launch_gap.value * launches(op);
        it->second.ps[static_cast<std::size_t>(e)] = to_sim_duration(time * factor + gap).ps;
    }
    return it->second;
}

CommunicationEstimate Pricing::estimate(const Communication& shape, std::int32_t draw) const {
    if (is_expert(shape.kind) && experts_ != nullptr && experts_->timed())
        return experts_->time(shape, draw);
    return communication_.time(shape, group_placement(placement_, shape.group));
}

CollectiveSpec Pricing::collective(const Operator& op, std::int32_t draw) {
    const auto& shape = std::get<Communication>(op.shape);
    const CommunicationEstimate first = estimate(shape, 0);
    if (draw == 0) note(std::string(to_string(shape.kind)), first.rule, first.origin, 0);
    CollectiveSpec spec;
    spec.duration_ps = to_sim_duration(draw == 0 ? first.time : estimate(shape, draw).time).ps;
    spec.group = shape.group;
    spec.name = op.name;
    spec.environment_waiting = environment({communication_sms_, BytesPerSecond(0)});
    if (shares_links_ && is_expert(shape.kind)) spec.shared = experts_->transfer(shape, draw);
    // Draws of one all-to-all differ by a few percent: what runs beside sees the first one's rate.
    spec.environment_moving = environment({communication_sms_, first.memory_traffic});
    return spec;
}

SimDuration Pricing::send(const Operator& op) {
    const auto& shape = std::get<Communication>(op.shape);
    const CommunicationEstimate estimate =
        communication_.time(shape, neighbour_placement(placement_));
    note(std::string(to_string(shape.kind)), estimate.rule, estimate.origin, 0);
    return to_sim_duration(estimate.time);
}

std::vector<SourceUsed> Pricing::sources() const {
    std::vector<SourceUsed> result;
    for (const auto& [key, rule] : rules_) {
        std::string value = fmt::format("{} operators", rule.operators);
        if (rule.spread > 0) value += fmt::format(", +-{:.1f} %", rule.spread * 100.0);
        result.push_back({key.first, value, {rule.origin, key.second}});
    }
    return result;
}

}  // namespace orrery
