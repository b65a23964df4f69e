// Where profiles lie: names and paths to files.

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/config.hpp"
#include "core/error.hpp"
#include "hardware/accelerator_profile.hpp"

namespace orrery {

namespace fs = std::filesystem;

namespace {

// Names of the .json files in a directory that `wanted` takes.
template <class Wanted>
void add_names(const fs::path& directory, const Wanted& wanted, std::vector<std::string>& names) {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(directory, ec)) {
        const std::string file = entry.path().filename().string();
        if (!file.ends_with(".json") || file.ends_with(".measured.json")) continue;
        if (wanted(entry.path())) names.push_back(entry.path().stem().string());
    }
}

// A profile beside the kinds' directories says by its keys what it is.
bool is_kind(const fs::path& file, bool cluster) {
    try {
        const ConfigNode root = ConfigNode::load(file);
        return root.has("title") && root.has("accelerator") == cluster;
    } catch (const InputError&) {
        return false;  // whoever asks for it by name is told what is wrong
    }
}

}  // namespace

std::vector<std::string> profile_names(const fs::path& directory, const char* kind) {
    const bool cluster = kind == std::string_view("clusters");
    std::vector<std::string> names;
    add_names(
        directory / kind, [](const fs::path&) { return true; }, names);
    add_names(
        directory, [&](const fs::path& file) { return is_kind(file, cluster); }, names);
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
    const auto known = profile_names(directory, kind);
    throw InputError(fmt::format("{} = \"{}\": is not a profile, must be one of: {}",
                                 cluster ? "cluster" : "accelerator", name_or_path,
                                 fmt::join(known, ", ")));
}

}  // namespace orrery
