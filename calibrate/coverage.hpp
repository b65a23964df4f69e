#pragma once
// Which shapes a run was missing: reads the file such a run leaves behind.
//
//   {"missing": [{"kind": "gemm", "precision": "fp8_block", "accumulate": false, "m": 4096,
//                 "n": 2112, "k": 7168, "sm": 112},
//                {"kind": "grouped_gemm", "layout": "contiguous", "precision": "fp8_block",
//                 "groups": 8, "rows_per_group": 4096, "n": 4096, "k": 7168},
//                {"kind": "attention", "pass": "forward", "sequences": 1, "query_length": 4096,
//                 "key_length": 4096, "query_heads": 128, "key_heads": 128, "query_key_dim": 192,
//                 "value_dim": 128, "causal": true},
//                {"kind": "memory", "operator": "rms_norm", "rows": 4096, "columns": 7168}]}
//
// "accumulate" and "sm" may be left out: false, and the whole device; "name" is for people.

#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/shapes.hpp"

namespace orrery::calibrate {

struct MissingShapes {
    std::vector<GemmCase> gemms;
    std::vector<GroupedCase> grouped;
    std::vector<Attention> attention;  // forward and backward
    std::vector<Attention> decode;
    std::vector<MemoryCase> memory;
    std::vector<std::string> without_kernel;  // entries that nothing here can measure
};

// Throws InputError naming file, entry and rule.
MissingShapes read_missing(const std::filesystem::path& file);

}  // namespace orrery::calibrate
