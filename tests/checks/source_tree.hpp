#pragma once
// Reading the project's own sources, for the checks on them.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::checks {

struct SourceFile {
    std::string path;                // from the source root: "sim/core/config.cpp"
    std::vector<std::string> lines;  // without line ends
};

// C++ and CUDA sources under the given folders of the source root; folders that do not exist count
// as empty.
std::vector<SourceFile> read_sources(const std::vector<std::string>& folders);
// Every text file that git tracks; outside a git work tree every text file but build results.
std::vector<SourceFile> read_tracked_text();

// The file named by an #include "..." or <...> line; empty where the line is none.
struct Include {
    std::string target;
    bool quoted = false;
};
Include include_of(std::string_view line);
// The line with // comments, and everything between double quotes, taken out.
std::string code_of(std::string_view line);
// "sim/core/config.cpp" starts with "sim/core/".
bool is_under(const std::string& path, std::string_view folder);

}  // namespace orrery::checks
