// Where profiles lie: names and paths to files.

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"

namespace orrery {

namespace fs = std::filesystem;

std::vector<std::string> profile_names(const fs::path& directory, const char* kind) {
    std::vector<std::string> names;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(directory / kind, ec)) {
        if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

fs::path profile_file(const std::string& name_or_path, const fs::path& directory,
                      const char* kind) {
    const fs::path given(name_or_path);
    if (given.extension() == ".json" || given.has_parent_path()) return given;
    std::error_code ec;
    for (const fs::path& file :
         {directory / kind / (name_or_path + ".json"), directory / (name_or_path + ".json")}) {
        if (fs::exists(file, ec)) return file;
    }
    const bool cluster = kind == std::string_view("clusters");
    const auto known =
        profile_names(fs::exists(directory / kind, ec) ? directory : directory / "..", kind);
    throw InputError(fmt::format("{} = \"{}\": is not a profile, must be one of: {}",
                                 cluster ? "cluster" : "accelerator", name_or_path,
                                 fmt::join(known, ", ")));
}

}  // namespace orrery
