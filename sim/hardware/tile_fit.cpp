#include "hardware/tile_fit.hpp"

#include <cmath>

#include "hardware/gemm_time.hpp"
#include "hardware/grouped_gemm_time.hpp"

namespace orrery {

std::vector<TileSample> tile_samples(const AcceleratorProfile& profile, Precision precision) {
    std::vector<TileSample> samples;
    for (const DataTable* table : profile.find_tables("gemm")) {
        if (table->from.origin != profile.find_table("gemm")->from.origin) continue;
        const auto kind = table->column("precision"), m = table->column("m");
        const auto n = table->column("n"), k = table->column("k"), time = table->column("time_us");
        for (std::size_t i = 0; i < table->rows(); ++i) {
            const auto& row = table->numbers[i];
            const double all = profile.sms.value.value();
            if (table->texts[i][kind] != to_string(precision)) continue;
            if (table->number(i, "sm", all) < all || table->number(i, "accumulate", 0) != 0) {
                continue;
            }
            const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
            const Gemm gemm{integer(m), integer(n), integer(k), precision, false};
            samples.push_back({tile_problem(gemm), row[time] * 1e-6});
        }
    }
    return samples;
}

std::vector<TileSample> grouped_samples(const AcceleratorProfile& profile, GroupLayout layout) {
    std::vector<TileSample> samples;
    for (const DataTable* table : profile.find_tables("grouped_gemm")) {
        if (!table->has_column("time_us")) continue;
        const auto kind = table->column("layout"), groups = table->column("groups");
        const auto rows = table->column("rows_per_group"), n = table->column("n");
        const auto k = table->column("k"), time = table->column("time_us");
        for (std::size_t i = 0; i < table->rows(); ++i) {
            const auto& row = table->numbers[i];
            const double all = profile.sms.value.value();
            if (table->texts[i][kind] != to_string(layout)) continue;
            if (table->number(i, "sm", all) < all) continue;
            const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(row[c]); };
            GroupedGemm gemm{integer(groups),      integer(groups) * integer(rows),
                             integer(n),           integer(k),
                             Precision::fp8_block, layout};
            TileProblem problem = tile_problem(gemm);
            problem.tiles = TileSet::own_grouped;
            samples.push_back({problem, row[time] * 1e-6});
        }
    }
    return samples;
}

TileConstants grouped_start(const AcceleratorProfile& profile) {
    TileConstants start{0.65 * profile.peak_fp8.value.value(), 2, 4e-6, 1e-6, 1.02};
    start.fill = 1e-6;
    start.load = 0.05;
    start.single = 1.02;
    start.group = 0.1e-6;
    start.half = 0.85;
    return start;
}

double tile_error(const std::vector<TileSample>& samples, const TileDevice& device,
                  const TileConstants& constants) {
    double sum = 0;
    for (const TileSample& s : samples) {
        sum += std::fabs(std::log(tile_time(s.problem, device, constants) / s.time));
    }
    return samples.empty() ? 0 : sum / static_cast<double>(samples.size());
}

TileConstants tile_start(const AcceleratorProfile& profile, Precision precision) {
    const auto& peak = runs_in_fp8(precision) ? profile.peak_fp8 : profile.peak_bf16;
    TileConstants start{0.85 * peak.value.value(), 6, 2e-6, 0.3e-6, 0.95};
    start.fill = 1e-6;
    start.load = 0.1;
    start.split = 4e-6;
    start.single = 1.08;
    return start;
}

TileFit fit_tile_model(const std::vector<TileSample>& samples, const TileDevice& device,
                       const TileConstants& start) {
    TileFit best{start, tile_error(samples, device, start)};
    std::vector<double TileConstants::*> members;  // but those that the start leaves out
    for (const TileColumn& column : tile_columns()) {
        if (start.*column.member != TileConstants().*column.member) {
            members.push_back(column.member);
        }
    }
    for (double step = 0.4; step > 0.002; step /= 2) {
        for (bool improved = true; improved;) {
            improved = false;
            for (const auto member : members) {
                for (const double factor : {1 + step, 1 / (1 + step)}) {
                    TileConstants trial = best.constants;
                    trial.*member *= factor;
                    if (trial.single < 1 || trial.half > 1) continue;
                    const double error = tile_error(samples, device, trial);
                    if (error > best.error * (1 - 2e-4)) continue;
                    best = {trial, error};
                    improved = true;
                }
            }
        }
    }
    return best;
}

}  // namespace orrery
