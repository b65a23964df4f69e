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

}  // namespace

double tile_time(const TileProblem& problem, const TileDevice& device,
                 const TileConstants& constants) {
    const double rate = constants.flops_per_second / device.all_sms;
    const double bandwidth = device.copy_bandwidth * constants.bandwidth_fraction;
    const double results = problem.groups * problem.m * problem.n;
    const auto unit = [&](const Tile& tile, double k) {
        const double work = tile.a * tile.b + constants.edge * (tile.a + tile.b);
        return 2 * k * work / rate + constants.wave;
    };
    double best = std::numeric_limits<double>::max();
    const std::span<const Tile> tiles = problem.precision == Precision::fp8_block
                                            ? std::span<const Tile>(kBlockTiles)
                                            : std::span<const Tile>(kTiles);
    for (const Tile& tile : tiles) {
        const double count =
            problem.groups * std::ceil(problem.m / tile.a) * std::ceil(problem.n / tile.b);
        best = std::min(best, std::ceil(count / device.sms) * unit(tile, problem.k));
        for (const double split : kSplits) {
            if (count * split > device.sms) break;
            const double reduce = constants.launch + 8 * split * results / bandwidth;
            best = std::min(best, unit(tile, problem.k / split) + reduce);
        }
    }
    const double memory = problem.bytes / bandwidth;
    const double work2 = best * best, memory2 = memory * memory;
    return constants.launch + std::sqrt(std::sqrt(work2 * work2 + memory2 * memory2));
}

TileProblem tile_problem(const Gemm& gemm) {
    return {1,
            static_cast<double>(gemm.m),
            static_cast<double>(gemm.n),
            static_cast<double>(gemm.k),
            bytes(Operator{"", gemm}).value(),
            gemm.precision};
}

TileProblem tile_problem(const GroupedGemm& gemm) {
    TileProblem problem;
    problem.groups = static_cast<double>(gemm.groups);
    problem.bytes = bytes(Operator{"", gemm}).value();
    problem.precision = gemm.precision;
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
