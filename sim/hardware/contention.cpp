#include "hardware/contention.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

namespace {

OperatorClass parse_class(const std::string& text, const std::string& where) {
    for (const OperatorClass c : {OperatorClass::gemm, OperatorClass::grouped_gemm,
                                  OperatorClass::attention, OperatorClass::memory}) {
        if (text == to_string(c)) return c;
    }
    throw InputError(
        fmt::format("{} = \"{}\": must be gemm, grouped_gemm, attention or memory", where, text));
}

}  // namespace

Contention::Contention(const AcceleratorProfile& profile) {
    for (const DataTable* table : profile.find_tables("contention")) {
        const auto kind = table->column("class"), sms = table->column("communication_sms");
        const auto bandwidth = table->column("communication_GBps"),
                   slowdown = table->column("slowdown");
        for (std::size_t i = 0; i < table->rows(); ++i) {
            const auto& row = table->numbers[i];
            const std::string where = fmt::format("{}: rows[{}].class", table->file, i);
            auto& points = points_[parse_class(table->texts[i][kind], where)];
            if (!points.empty() && points.front().from.source != table->from.source) continue;
            points.push_back({row[sms], row[bandwidth] * 1e9, row[slowdown], table->from});
        }
    }
    for (auto& [c, points] : points_) {
        std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
            return std::pair(a.sms, a.bandwidth) < std::pair(b.sms, b.bandwidth);
        });
    }
}

Sourced<Ratio> Contention::slowdown(OperatorClass c, const CommunicationLoad& load) const {
    if (load.sms == 0) {
        return {Ratio(1), {Origin::derived, "no SM held by communication: not slowed"}};
    }
    const auto known = points_.find(c);
    if (known == points_.end()) {
        return {Ratio(1), {Origin::assumed, "no contention table for this class: none assumed"}};
    }
    const double sms = static_cast<double>(load.sms);
    double level = known->second.front().sms;
    for (const Point& p : known->second) {
        if (std::fabs(p.sms - sms) < std::fabs(level - sms)) level = p.sms;
    }
    double x0 = 0, y0 = 1, value = 1;
    for (const Point& p : known->second) {
        if (p.sms != level) continue;
        if (p.bandwidth >= load.bandwidth.value()) {
            const double width = p.bandwidth - x0;
            value = width > 0 ? y0 + (p.slowdown - y0) * (load.bandwidth.value() - x0) / width
                              : p.slowdown;
            return {Ratio(std::max(1.0, value)), known->second.front().from};
        }
        x0 = p.bandwidth, y0 = value = p.slowdown;
    }
    return {Ratio(std::max(1.0, value)), known->second.front().from};  // beyond the last: held
}

}  // namespace orrery
