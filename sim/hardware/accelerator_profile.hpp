#pragma once
// What the simulator knows of one accelerator: rates, capacities, kernel tables, contention. Read
// from hw_profiles/accelerators/<name>.json; every number carries its origin (format:
// hw_profiles/README.md).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/quantity.hpp"
#include "core/sourced.hpp"
#include "hardware/data_table.hpp"
#include "hardware/operator.hpp"

namespace orrery {

struct AcceleratorProfile {
    std::string name;   // "h800_sxm5"
    std::string title;  // "NVIDIA H800 SXM5 80 GB"
    Sourced<Ratio> sms;
    Sourced<Bytes> memory;
    Sourced<BytesPerSecond> memory_bandwidth;  // data sheet
    Sourced<BytesPerSecond> copy_bandwidth;    // device-to-device copy kernel, read + written
    Sourced<FlopsPerSecond> peak_bf16, peak_fp8;
    Sourced<Seconds> launch_gap;    // idle time between dependent kernels of one stream
    Sourced<Seconds> kernel_floor;  // duration of a kernel that has next to nothing to do
    Sourced<Ratio> saturating_sms;  // SMs that reach copy_bandwidth; fewer get a proportional share
    // Achieved over peak where no table holds a kernel's class; absent: such a kernel is refused.
    std::optional<Sourced<Ratio>> compute_efficiency;
    std::optional<Sourced<Seconds>> graph_gap;  // as launch_gap, between kernels of a CUDA graph
    std::vector<DataTable> tables;  // families by name, strongest origin first within a family

    const DataTable* find_table(std::string_view table_name) const;  // strongest; nullptr: none
    std::vector<const DataTable*> find_tables(std::string_view table_name) const;
};

// Whose kernels are priced where a profile has both: measured with this project's and the installed
// libraries' kernels, or what somebody published. Tables of that kind then come first, whatever
// device they were carried over from.
enum class KernelChoice : std::uint8_t { own, published };
void prefer(AcceleratorProfile& profile, KernelChoice choice);

// Loads a profile by name (looked up in `directory`/accelerators, then in `directory`) or by path.
// Throws InputError.
AcceleratorProfile load_accelerator(const std::string& name_or_path,
                                    const std::filesystem::path& directory);

// The file a profile name or path stands for: a path where it ends in .json or has a directory,
// else directory/kind/name.json or directory/name.json; missing: InputError naming those that
// exist.
std::filesystem::path profile_file(const std::string& name_or_path,
                                   const std::filesystem::path& directory, const char* kind);
// Names of the profiles in directory/kind, and of those of this kind in the directory itself (raw
// measurements, *.measured.json, left out); sorted.
std::vector<std::string> profile_names(const std::filesystem::path& directory, const char* kind);

}  // namespace orrery
