#include "app/command.hpp"

#include <cstdlib>

#include <CLI/CLI.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/error.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

bool holds_profiles(const fs::path& dir) {
    std::error_code ec;
    return fs::is_directory(dir / "accelerators", ec) || fs::is_directory(dir / "clusters", ec);
}

const char* environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

fs::path CommandContext::profile_dir(const fs::path& near) const {
    if (profiles) {
        if (!fs::is_directory(*profiles)) {
            throw InputError("--profiles " + profiles->string() + ": is not a directory");
        }
        return *profiles;
    }
    if (const char* named = environment("ORRERY_PROFILES")) {
        if (!fs::is_directory(named)) {
            throw InputError("ORRERY_PROFILES=" + std::string(named) + ": is not a directory");
        }
        return named;
    }
    std::error_code ec;
    if (!near.empty()) {
        fs::path above = fs::absolute(near, ec).lexically_normal().parent_path();
        for (; !ec && above != above.root_path(); above = above.parent_path()) {
            if (holds_profiles(above / "hw_profiles")) return above / "hw_profiles";
        }
    }
    return fs::path(ORRERY_SOURCE_DIR) / "hw_profiles";
}

int CommandContext::width() const {
    if (const char* columns = environment("COLUMNS")) {
        const int value = std::atoi(columns);
        if (value >= 40) return value;
    }
    winsize size{};
    if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_col >= 40) {
        return size.ws_col;
    }
    return 100;
}

bool CommandContext::use_color() const {
    if (color == "always") return true;
    if (color == "never" || environment("NO_COLOR") != nullptr) return false;
    const char* terminal = environment("TERM");
    return isatty(STDOUT_FILENO) != 0 && terminal != nullptr && std::string(terminal) != "dumb";
}

bool CommandContext::show_progress() const { return !quiet && isatty(STDERR_FILENO) != 0; }

fs::path validation_cases() {
    std::error_code ec;
    for (fs::path above = fs::current_path(ec); !ec; above = above.parent_path()) {
        const fs::path cases = above / "scenarios" / "validation";
        if (fs::is_directory(cases, ec)) return cases;
        if (above == above.root_path()) break;
    }
    return fs::path(ORRERY_SOURCE_DIR) / "scenarios" / "validation";
}

void add_scenario_options(CLI::App& command, CommandContext& context) {
    command
        .add_option("--set", context.sets,
                    "Override a key of the scenario, as plan.schedule=1f1b (may be repeated)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    command
        .add_option("--missing-shapes", context.missing,
                    "Write the operators that no row of the profile's tables is near, for "
                    "orrery-calibrate --missing")
        ->type_name("FILE");
    command.add_option("--out", context.out_dir, "Directory for result.json and other files")
        ->type_name("DIR");
}

std::vector<std::string> cluster_sets(const std::vector<std::string>& sets) {
    std::vector<std::string> result;
    for (const std::string& set : sets) {
        if (!set.starts_with("cluster.") || set.find('=') == std::string::npos) {
            throw InputError("--set " + set + ": must be cluster.KEY=VALUE");
        }
        result.push_back(set.substr(8));
    }
    return result;
}

}  // namespace orrery
