#pragma once
// One run on the GPU: families, held-out shapes or missing shapes, journalled, to results. Plain
// types only: a program built without CUDA links calibrate/no_gpu instead of calibrate/gpu.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/coverage.hpp"
#include "calibrate/plan.hpp"
#include "calibrate/preflight.hpp"
#include "calibrate/results.hpp"

namespace orrery::calibrate {

struct RunRequest {
    std::filesystem::path results;     // the journal lies beside it until the run is complete
    std::vector<FamilyPlan> families;  // to be measured, unless one of these is given:
    std::optional<MissingShapes> missing;
    std::optional<std::uint64_t> held_out;  // seed
    std::vector<std::string> held_out_classes;
    double sustained_seconds = 3;
    int device = 0;
    Allowed allowed;
    std::string command;  // as typed, for the heading
    std::function<void(std::size_t family)> begin_family;
    std::function<void(const std::string& row)> progress;
};

// Called with the results before the journal is removed.
using Keep = std::function<void(const Results&)>;

// Measures and hands the results to `keep`. Throws InputError: no GPU, a GPU not to be calibrated
// now, no permission to profile.
void run_calibration(const RunRequest& request, const Keep& keep);

}  // namespace orrery::calibrate
