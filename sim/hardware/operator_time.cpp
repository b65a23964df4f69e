#include "hardware/operator_time.hpp"

#include <fmt/format.h>

#include "core/missing_shapes.hpp"
#include "hardware/attention_time.hpp"
#include "hardware/contention.hpp"
#include "hardware/coverage.hpp"
#include "hardware/decode_load.hpp"
#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"
#include "hardware/memory_time.hpp"
#include "hardware/sustained.hpp"

namespace orrery {

namespace {

// A weight-only quantized product as the BF16 one it computes.
std::optional<Operator> in_bf16(const Operator& op) {
    Operator plain = op;
    if (auto* g = std::get_if<Gemm>(&plain.shape)) {
        if (!weight_only(g->precision)) return std::nullopt;
        g->precision = Precision::bf16;
        return plain;
    }
    if (auto* e = std::get_if<GroupedGemm>(&plain.shape)) {
        if (!weight_only(e->precision)) return std::nullopt;
        e->precision = Precision::bf16;
        return plain;
    }
    return std::nullopt;
}

}  // namespace

struct OperatorTimeModel::Impl {
    explicit Impl(AcceleratorProfile p)
        : profile(std::move(p)),
          gemm(profile),
          grouped(profile, gemm),
          attention(profile),
          memory(profile),
          contention(profile),
          coverage(profile),
          sustained(profile,
                    [this](const Operator& op, double on) { return burst(op, on).time.value(); }),
          decode_load(profile),
          pace(profile) {}

    AcceleratorProfile profile;
    GemmTimes gemm;
    GroupedGemmTimes grouped;
    AttentionTimes attention;
    MemoryTimes memory;
    Contention contention;
    TableCoverage coverage;
    SustainedTimes sustained;
    DecodeLoad decode_load;
    GpuPace pace;

    // Under continuous load, of the slowest GPU of those that meet.
    void under_load(Estimate& estimate, const Operator& op, double on, const Conditions& c) const {
        const bool decoding = c.clock == Clock::decoding;
        if (decoding && decode_load.known()) {
            decode_load.apply(estimate, op);
        } else {
            sustained.apply(estimate, op, on);
        }
        if (c.gpus == 0 || !pace.known()) return;
        estimate.time *= pace.slowest(class_of(op), decoding, c.gpus);
        estimate.origin = weakest(estimate.origin, pace.from().origin);
        if (c.gpus > 1) estimate.rule += fmt::format(", slowest of {} GPUs", c.gpus);
    }

    double sms(const Conditions& conditions) const {
        const double all = profile.sms.value.value();
        if (conditions.sms == 0) return all;
        const auto asked = static_cast<double>(conditions.sms);
        if (asked < 1 || asked > all) {
            throw InputError(fmt::format("sms = {}: must be 1 to {}, the SMs of {}", conditions.sms,
                                         all, profile.name));
        }
        return asked;
    }

    // Roofline times the profile's stated efficiency; refused where it states none.
    Estimate roofline(const Operator& op, Precision precision, double sms) const {
        if (!profile.compute_efficiency) {
            const auto shape = missing_shape(op, sms, profile.sms.value.value());
            throw MissingShapesError(
                fmt::format("{}: no table for operator {} ({}) and no compute_efficiency, must "
                            "have one of them",
                            profile.name, op.name, to_string(class_of(op))),
                {shape.value_or("")});
        }
        const auto& peak = runs_in_fp8(precision) ? profile.peak_fp8 : profile.peak_bf16;
        const double share = sms / profile.sms.value.value();
        const double rate = peak.value.value() * share * profile.compute_efficiency->value.value();
        const double compute = flops(op).value() / rate;
        const double traffic = (bytes(op) / profile.copy_bandwidth.value).value();
        Estimate estimate;
        estimate.time = Seconds(std::max(compute, traffic)) + profile.kernel_floor.value;
        estimate.origin = weakest(Origin::derived, profile.compute_efficiency->from.origin);
        estimate.rule = fmt::format("roofline x {}", profile.compute_efficiency->value.value());
        return estimate;
    }

    // The BF16 kernel of the same shape, in proportion to the roofline of fewer bytes of weights.
    // Left out: the instructions that widen the weights.
    Estimate with_small_weights(const Operator& op, const Operator& plain, double on) const {
        Estimate estimate = burst(plain, on);
        const double rate = profile.peak_bf16.value.value() * on / profile.sms.value.value();
        const auto least = [&](const Operator& o) {
            const double traffic = (bytes(o) / profile.copy_bandwidth.value).value();
            return std::max(flops(o).value() / rate, traffic);
        };
        const double floor = std::min(profile.kernel_floor.value.value(), estimate.time.value());
        estimate.time = Seconds(floor + (estimate.time.value() - floor) * least(op) / least(plain));
        estimate.origin = weakest(estimate.origin, Origin::derived);
        estimate.rule += ", weights' bytes scaled";
        return estimate;
    }

    // Alone, at full clock.
    Estimate burst(const Operator& op, double on) const {
        std::optional<Estimate> known;
        Precision precision = Precision::bf16;
        if (const auto plain = in_bf16(op)) return with_small_weights(op, *plain, on);
        if (const auto* g = std::get_if<Gemm>(&op.shape)) {
            known = gemm.time(*g, on);
            precision = g->precision;
        } else if (const auto* e = std::get_if<GroupedGemm>(&op.shape)) {
            known = grouped.time(*e, on);
            precision = e->precision;
        } else if (const auto* a = std::get_if<Attention>(&op.shape)) {
            known = attention.time(*a, on);
        } else if (const auto* m = std::get_if<MemoryOp>(&op.shape)) {
            return memory.time(*m, on);
        } else {
            throw SimulationError(fmt::format(
                "operator {}: a communication has no time on one accelerator", op.name));
        }
        return known ? *known : roofline(op, precision, on);
    }
};

OperatorTimeModel::OperatorTimeModel(AcceleratorProfile profile)
    : impl_(std::make_unique<Impl>(std::move(profile))) {}
OperatorTimeModel::~OperatorTimeModel() = default;
OperatorTimeModel::OperatorTimeModel(OperatorTimeModel&&) noexcept = default;

Estimate OperatorTimeModel::time(const Operator& op, const Conditions& conditions) const {
    const double sms = impl_->sms(conditions);
    Estimate estimate = impl_->burst(op, sms);
    if (conditions.clock != Clock::burst) impl_->under_load(estimate, op, sms, conditions);
    return estimate;
}

bool OperatorTimeModel::near(const Operator& op, const Conditions& conditions) const {
    return impl_->coverage.near(op, impl_->sms(conditions));
}

Sourced<Ratio> OperatorTimeModel::slowdown(OperatorClass c, const CommunicationLoad& load) const {
    return impl_->contention.slowdown(c, load);
}

const AcceleratorProfile& OperatorTimeModel::profile() const { return impl_->profile; }
const GpuPace& OperatorTimeModel::pace() const { return impl_->pace; }

std::vector<TableError> OperatorTimeModel::leave_one_out() const {
    std::vector<TableError> result;
    for (const auto& f : impl_->gemm.leave_one_out()) {
        const char* family = f.accumulate ? "gemm_accumulate" : "gemm";
        result.push_back({fmt::format("{} {}", family, to_string(f.precision)), f.from, f.all_sms});
        if (f.limited_sms.points == 0) continue;
        result.push_back({fmt::format("{} {}, fewer SMs", family, to_string(f.precision)), f.from,
                          f.limited_sms});
    }
    for (const auto& f : impl_->grouped.leave_one_out()) {
        result.push_back(
            {fmt::format("grouped_gemm {} {}", to_string(f.layout), to_string(f.precision)), f.from,
             f.errors});
    }
    for (const auto& f : impl_->attention.leave_one_out()) {
        result.push_back({"attention " + f.name, f.from, f.errors});
    }
    for (const auto& f : impl_->memory.leave_one_out()) {
        result.push_back({"memory " + f.kind, f.from, f.errors});
    }
    return result;
}

}  // namespace orrery
