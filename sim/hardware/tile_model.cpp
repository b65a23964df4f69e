#include "hardware/tile_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace orrery {

namespace {

struct Tile {
    double a, b;
};
// Tiles that cuBLASLt's kernels showed in the measured table; block-scaled FP8 has one.
constexpr Tile kTiles[] = {{64, 64},   {64, 128},  {128, 64},  {128, 128}, {128, 256}, {256, 128},
                           {192, 192}, {176, 128}, {128, 176}, {320, 128}, {128, 320}};
constexpr Tile kBlockTiles[] = {{128, 128}};
constexpr double kSplits[] = {2, 3, 4, 6, 8, 12, 16};
constexpr double kLeastSplit = 256;  // of k, that a part keeps

std::span<const Tile> tiles_of(const TileProblem& problem) {
    static constexpr Tile kNarrow[] = {{128, 128}}, kWide[] = {{256, 128}};
    if (problem.tiles == TileSet::dense) return kTiles;
    if (problem.tiles == TileSet::block_scaled) return kBlockTiles;
    return problem.m > 128 ? std::span<const Tile>(kWide) : std::span<const Tile>(kNarrow);
}

double slower_of(double w, double h) {
    const double w2 = w * w, h2 = h * h;
    return std::sqrt(std::sqrt(w2 * w2 + h2 * h2));
}

// Waves of `count` tiles whose arithmetic takes `work` on an idle device and whose traffic takes
// `memory`.
double waves(double count, double work, double memory, const TileDevice& device,
             const TileConstants& c) {
    const auto wave = [&](double tiles) {
        const double busy = tiles / device.all_sms;
        return slower_of(work * (1 + c.load * busy) + c.wave + c.fill * busy,
                         memory * tiles / count);
    };
    const double full = std::floor(count / device.sms), rest = count - full * device.sms;
    return (full > 0 ? full * wave(device.sms) : 0) + (rest > 0 ? wave(rest) : 0);
}

}  // namespace

double tile_time(const TileProblem& problem, const TileDevice& device,
                 const TileConstants& constants) {
    const double rate = constants.flops_per_second / device.all_sms;
    const double memory = problem.bytes / (device.copy_bandwidth * constants.bandwidth_fraction);
    double best = std::numeric_limits<double>::max();
    for (const Tile& tile : tiles_of(problem)) {
        const double rows = std::ceil(problem.m / tile.a), columns = std::ceil(problem.n / tile.b);
        const double left = problem.m - (rows - 1) * tile.a;
        const double share = left > tile.a / 2 ? 1 : 1 - (1 - constants.half) / rows;
        const double area = tile.a * tile.b + constants.edge * (tile.a + tile.b);
        const double work = 2 * problem.k * area * share / rate;
        const double count = problem.groups * rows * columns;
        const double paired =
            2 * problem.groups *
            std::min(std::ceil(rows / 2) * columns, rows * std::ceil(columns / 2));
        best = std::min(best, waves(paired, work, memory, device, constants));
        if (paired > count)
            best = std::min(best, waves(count, work * constants.single, memory, device, constants));
        if (problem.tiles == TileSet::own_grouped) continue;
        for (const double split : kSplits) {
            if (count * split > 4 * device.sms || problem.k / split < kLeastSplit) break;
            const double part = work * std::ceil(problem.k / split / 128) * 128 / problem.k;
            best = std::min(
                best, constants.split + waves(count * split, part, memory, device, constants));
        }
    }
    return constants.launch + constants.group * problem.groups + best;
}

std::span<const TileColumn> tile_columns() {
    using C = TileConstants;
    static constexpr TileColumn kColumns[] = {
        {"TFLOPS", &C::flops_per_second, 1e12, true},
        {"edge", &C::edge, 1, true},
        {"launch_us", &C::launch, 1e-6, true},
        {"wave_us", &C::wave, 1e-6, true},
        {"bandwidth_fraction", &C::bandwidth_fraction, 1, true},
        {"fill_us", &C::fill, 1e-6, false},
        {"load", &C::load, 1, false},
        {"split_us", &C::split, 1e-6, false},
        {"single", &C::single, 1, false},
        {"group_us", &C::group, 1e-6, false},
        {"half", &C::half, 1, false}};
    return kColumns;
}

TileConstants read_tile_constants(const DataTable& table, std::size_t row) {
    TileConstants constants;
    constants.split = table.numbers[row][table.column("launch_us")] * 1e-6;
    for (const TileColumn& column : tile_columns()) {
        if (column.required || table.has_column(column.name)) {
            constants.*column.member = table.numbers[row][table.column(column.name)] * column.unit;
        }
    }
    return constants;
}

TileSet tile_set(Precision precision) {
    return precision == Precision::fp8_block ? TileSet::block_scaled : TileSet::dense;
}

TileProblem tile_problem(const Gemm& gemm) {
    return {1,
            static_cast<double>(gemm.m),
            static_cast<double>(gemm.n),
            static_cast<double>(gemm.k),
            bytes(Operator{"", gemm}).value(),
            tile_set(gemm.precision)};
}

TileProblem tile_problem(const GroupedGemm& gemm) {
    TileProblem problem;
    problem.groups = static_cast<double>(gemm.groups);
    problem.bytes = bytes(Operator{"", gemm}).value();
    problem.tiles = tile_set(gemm.precision);
    const double rows = static_cast<double>(gemm.rows) / problem.groups;
    if (gemm.layout == GroupLayout::k_grouped) {
        problem.m = static_cast<double>(gemm.n);
        problem.n = static_cast<double>(gemm.k);
        problem.k = rows;
    } else {
        problem.m = rows;
        problem.n = static_cast<double>(gemm.n);
        problem.k = static_cast<double>(gemm.k);
    }
    return problem;
}

}  // namespace orrery
