#include "hardware/memory_time.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

MemoryTimes::MemoryTimes(const AcceleratorProfile& profile)
    : bandwidth_(profile.copy_bandwidth.value.value()),
      floor_(profile.kernel_floor.value.value()),
      saturating_sms_(profile.saturating_sms.value.value()),
      all_sms_(profile.sms.value.value()),
      base_origin_(profile.copy_bandwidth.from.origin) {
    for (const DataTable* table : profile.find_tables("memory")) {
        const auto kind = table->column("kind"), columns = table->column("columns");
        const auto rows = table->column("rows"), bytes = table->column("bytes");
        const auto time = table->column("time_us");
        const bool limited = table->has_column("sm");
        const auto sm = limited ? table->column("sm") : 0;
        for (std::size_t i = 0; i < table->rows(); ++i) {
            const auto& row = table->numbers[i];
            if (limited && row[sm] < all_sms_) continue;
            if (table->text(i, "cache", "rotating") != "rotating") continue;
            if (table->text(i, "clock", "burst") != "burst") continue;
            Family& known = families_[table->texts[i][kind]];
            if (known.table.empty()) known.from = table->from;
            if (known.from.origin != table->from.origin) continue;
            known.table.add(shape_position(row[rows] * row[columns], row[columns], 1),
                            row[time] * 1e-6 / model(row[bytes], 1, all_sms_));
        }
    }
    for (auto& [kind, known] : families_) {
        known.error = known.table.typical_error();
    }
}

double MemoryTimes::model(double bytes, double launches, double sms) const {
    const double share = std::min(1.0, sms / saturating_sms_);
    return launches * floor_ + bytes / (bandwidth_ * share);
}

Estimate MemoryTimes::time(const MemoryOp& op, double sms) const {
    const double bytes = (op.read + op.written).value();
    const auto launches = static_cast<double>(std::max<std::int64_t>(1, op.launches));
    Estimate estimate;
    double factor = 1;
    const auto known = families_.find(to_string(op.kind));
    if (known != families_.end() && op.launches <= 1) {
        const auto columns = static_cast<double>(op.columns);
        const auto reading = known->second.table.read(
            shape_position(static_cast<double>(op.rows) * columns, columns, 1));
        factor = reading.value;
        estimate.origin = known->second.from.origin;
        if (reading.distance > 3) estimate.origin = weakest(estimate.origin, Origin::derived);
        if (reading.distance > 0) {
            estimate.spread = known->second.error * std::clamp(reading.distance, 1.0, 3.0);
        }
        estimate.rule = fmt::format("memory table {}, {}", to_string(op.kind),
                                    reading.distance == 0 ? "measured shape" : "interpolated");
    } else {
        estimate.origin = weakest(base_origin_, Origin::derived);
        estimate.rule = launches > 1 ? "launches of the shortest kernel + bytes over the copy "
                                       "bandwidth"
                                     : "bytes over the copy bandwidth";
    }
    if (op.kind == MemoryOpKind::router) {  // its launches and bytes: model/lower_router.cpp
        estimate.origin = Origin::assumed;
        estimate.rule += ", a router's passes over its scores assumed";
    }
    estimate.time = Seconds(model(bytes, launches, sms) * factor);
    return estimate;
}

std::vector<MemoryTimes::FamilyErrors> MemoryTimes::leave_one_out() const {
    std::vector<FamilyErrors> result;
    for (const auto& [kind, known] : families_) {
        result.push_back({kind, known.from, summarise(known.table.leave_one_out())});
    }
    return result;
}

}  // namespace orrery
