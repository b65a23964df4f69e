#pragma once
// What the simulator knows of one accelerator: rates, capacities, kernel tables, contention. Read
// from hw_profiles/accelerators/<name>.json; every number carries its origin (format:
// hw_profiles/README.md).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/operator.hpp"

namespace orrery {

// A table of measurements: named numeric columns and text columns, one provenance for all rows.
struct DataTable {
    std::string name;
    Provenance from;
    std::vector<std::string> columns;
    std::vector<std::vector<double>> numbers;     // [row][column]; NaN in text columns
    std::vector<std::vector<std::string>> texts;  // [row][column]; empty in numeric columns
    std::size_t column(std::string_view column_name) const;  // missing: InputError
};

struct AcceleratorProfile {
    std::string name;   // "h800_sxm5"
    std::string title;  // "NVIDIA H800 SXM5 80 GB"
    Sourced<Ratio> sms;
    Sourced<Bytes> memory;
    Sourced<BytesPerSecond> memory_bandwidth;  // data sheet
    Sourced<BytesPerSecond> copy_bandwidth;    // device-to-device copy kernel, read + written
    Sourced<FlopsPerSecond> peak_bf16, peak_fp8;
    Sourced<Seconds> launch_gap;  // idle time between dependent kernels of one stream
    std::vector<DataTable> tables;
    const DataTable* find_table(std::string_view table_name) const;
};

// Loads a profile by name (looked up in `directory`) or by path. Throws InputError.
AcceleratorProfile load_accelerator(const std::string& name_or_path,
                                    const std::filesystem::path& directory);

}  // namespace orrery
