#pragma once
// What `orrery profile` shows: every number of a hardware profile with its origin and source.

#include <filesystem>
#include <string>
#include <vector>

#include "core/sourced.hpp"

namespace orrery {

struct ProfileEntry {
    std::string name;   // "copy_bandwidth" or "table gemm"
    std::string value;  // "2871 GB/s" or "270 rows"
    Provenance from;
};
struct ProfileAnswer {
    std::string name;
    std::string kind;  // "accelerator" or "cluster"
    std::string title;
    std::string accelerator;  // of a cluster, else empty
    std::vector<ProfileEntry> entries;
    std::vector<std::string> missing =
        {};  // families that operators are priced from and it has not
};

// Looks among accelerators, then clusters; a path is read as what it turns out to be. Throws
// InputError.
ProfileAnswer answer_profile(const std::string& name_or_path,
                             const std::filesystem::path& profiles);

struct ProfileName {
    std::string kind, name, title;
};
std::vector<ProfileName> list_profiles(const std::filesystem::path& profiles);

}  // namespace orrery
