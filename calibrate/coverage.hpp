#pragma once
// Which shapes a run was missing: reads the file such a run leaves behind.
//
//   {"missing": [{"kind": "gemm", "precision": "fp8_block", "accumulate": false, "m": 4096,
//                 "n": 2112, "k": 7168, "sm": 112},
//                {"kind": "memory", "operator": "rms_norm", "rows": 4096, "columns": 7168}]}
//
// "accumulate" and "sm" may be left out: false, and the whole device.

#include <filesystem>
#include <vector>

#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

struct MissingShapes {
    std::vector<GemmCase> gemms;
    std::vector<MemoryCase> memory;
};

// Throws InputError naming file, entry and rule.
MissingShapes read_missing(const std::filesystem::path& file);

}  // namespace orrery::calibrate
