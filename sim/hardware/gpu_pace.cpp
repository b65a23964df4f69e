#include "hardware/gpu_pace.hpp"

#include <algorithm>

#include <boost/math/distributions/normal.hpp>
#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {

double expected_largest(double n) {
    if (n <= 1) return 0;
    return boost::math::quantile(boost::math::normal(), (n - 0.375) / (n + 0.25));
}

GpuPace::GpuPace(const AcceleratorProfile& profile) {
    const auto tables = profile.find_tables("pace");
    if (tables.empty()) return;
    const DataTable& table = *tables.front();
    from_ = table.from;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const auto value = [&](const char* column, double least, double most) {
            const double v = table.numbers[row][table.column(column)];
            if (v >= least && v <= most) return v;
            throw InputError(fmt::format("{}: rows[{}].{} = {}: must lie between {} and {}",
                                         table.file, row, column, v, least, most));
        };
        rows_[{table.text(row, "load", ""), table.text(row, "kernels", "")}] = {
            value("mean", 0.5, 2), value("deviation", 0, 0.5)};
    }
}

const GpuPace::Row* GpuPace::find(const char* load, const char* kernels) const {
    const auto found = rows_.find({load, kernels});
    return found == rows_.end() ? nullptr : &found->second;
}

double GpuPace::slowest(OperatorClass c, bool decoding, std::int64_t gpus) const {
    const char* kernels = c == OperatorClass::memory ? "memory-bound" : "compute-bound";
    const Row* row = find(decoding ? "decode_mix" : "layer_mix", kernels);
    if (row == nullptr) row = find("layer_mix", kernels);
    if (row == nullptr) return 1;
    return row->mean * (1 + row->deviation * expected_largest(static_cast<double>(gpus)));
}

double GpuPace::deviation() const {
    const Row* row = find("layer_mix", "all");
    return row == nullptr ? 0 : row->deviation;
}

}  // namespace orrery
