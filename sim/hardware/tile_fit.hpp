#pragma once
// Fits the tile model's constants to a measured GEMM table: least mean |log(model / measured)| by
// coordinate descent in the logarithm of the constants, steps halved from 20 % to 0.1 %.
// Deterministic; runs where a profile is made, never where it is used.

#include <vector>

#include "hardware/accelerator_profile.hpp"
#include "hardware/tile_model.hpp"

namespace orrery {

struct TileSample {
    TileProblem problem;
    double time = 0;  // s, on all SMs
};

struct TileFit {
    TileConstants constants;
    double error = 0;  // mean |log(model / measured)|
};

// Samples of a precision in the strongest "gemm" table of a profile, all SMs.
std::vector<TileSample> tile_samples(const AcceleratorProfile& profile, Precision precision);
// The same of a layout of this project's grouped GEMM (rows of "grouped_gemm" with time_us).
std::vector<TileSample> grouped_samples(const AcceleratorProfile& profile, GroupLayout layout);
TileConstants grouped_start(const AcceleratorProfile& profile);
// Constants that `start` leaves at their neutral value stay there.
TileFit fit_tile_model(const std::vector<TileSample>& samples, const TileDevice& device,
                       const TileConstants& start);
double tile_error(const std::vector<TileSample>& samples, const TileDevice& device,
                  const TileConstants& constants);
// A start that reaches the optimum from the device's peak.
TileConstants tile_start(const AcceleratorProfile& profile, Precision precision);

}  // namespace orrery
