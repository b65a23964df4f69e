#pragma once
// The operator time model against shapes that no table of a profile holds (orrery-calibrate
// --held-out): per class of operators, how far its prices are from what was measured.
//
//   error = priced / measured - 1, both at burst clock; median, 95th percentile and worst of
//   |error|
//
// An attention backward is priced with its two helper kernels, as its measured call has them.

#include <filesystem>
#include <string>
#include <vector>

#include "hardware/kernel_table.hpp"
#include "hardware/operator_time.hpp"

namespace orrery {

struct HeldOutClass {
    std::string name;  // "gemm fp8_block", "memory"
    ErrorSummary errors;
    double mean = 0;          // signed mean error
    double share = 0;         // of the shapes within 10 %
    std::string worst_shape;  // "416 x 13440 x 20992"
    double worst = 0;         // its signed error
};

struct HeldOutCheck {
    std::string device, date;  // heading of the file
    std::vector<HeldOutClass> classes;
};

// Throws InputError: unknown profile, no such file, a file without held-out tables.
HeldOutCheck check_held_out(const std::string& accelerator, const std::filesystem::path& profiles,
                            const std::filesystem::path& file);

}  // namespace orrery
