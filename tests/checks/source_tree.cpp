#include "source_tree.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

namespace orrery::checks {
namespace {

namespace fs = std::filesystem;

SourceFile read(const std::string& path) {
    SourceFile file{path, {}};
    std::ifstream in(fs::path(ORRERY_SOURCE_DIR) / path, std::ios::binary);
    for (std::string line; std::getline(in, line);) file.lines.push_back(line);
    return file;
}

bool is_text(const SourceFile& file) {
    return std::none_of(file.lines.begin(), file.lines.end(), [](const std::string& line) {
        return line.find('\0') != std::string::npos;
    });
}

std::vector<std::string> files_under(const std::string& folder) {
    std::vector<std::string> paths;
    const fs::path root(ORRERY_SOURCE_DIR);
    if (!fs::exists(root / folder)) return paths;
    for (auto it = fs::recursive_directory_iterator(root / folder); it != end(it); ++it) {
        const std::string path = fs::relative(it->path(), root).generic_string();
        if (it->is_directory() && (path == "build" || path == ".git"))
            it.disable_recursion_pending();
        if (it->is_regular_file()) paths.push_back(path);
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

std::vector<std::string> tracked_files() {
    std::vector<std::string> paths;
    const std::string command =
        "git -C '" ORRERY_SOURCE_DIR "' -c safe.directory='*' ls-files 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::array<char, 4096> line{};
    while (pipe && std::fgets(line.data(), line.size(), pipe.get())) {
        paths.emplace_back(line.data());
        if (paths.back().ends_with('\n')) paths.back().pop_back();
    }
    return paths;
}

}  // namespace

std::vector<SourceFile> read_sources(const std::vector<std::string>& folders) {
    static const std::array<std::string_view, 5> kExtensions = {".cpp", ".hpp", ".h", ".cu",
                                                                ".cuh"};
    std::vector<SourceFile> files;
    for (const std::string& folder : folders) {
        for (const std::string& path : files_under(folder)) {
            const std::string extension = fs::path(path).extension().string();
            if (std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end()) {
                files.push_back(read(path));
            }
        }
    }
    return files;
}

std::vector<SourceFile> read_tracked_text() {
    std::vector<std::string> paths = tracked_files();
    if (paths.empty()) paths = files_under(".");
    std::vector<SourceFile> files;
    for (const std::string& path : paths) {
        SourceFile file = read(path);
        if (is_text(file)) files.push_back(std::move(file));
    }
    return files;
}

Include include_of(std::string_view line) {
    const std::size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string_view::npos || line[hash] != '#') return {};
    const std::size_t word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string_view::npos || !line.substr(word).starts_with("include")) return {};
    const std::size_t open = line.find_first_of("<\"", word);
    if (open == std::string_view::npos) return {};
    const std::size_t close = line.find_first_of(">\"", open + 1);
    if (close == std::string_view::npos) return {};
    return {std::string(line.substr(open + 1, close - open - 1)), line[open] == '"'};
}

std::string code_of(std::string_view line) {
    std::string code;
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (!quoted && line.substr(i).starts_with("//")) break;
        if (line[i] == '\\' && quoted) {
            ++i;
        } else if (line[i] == '"' && (i == 0 || line[i - 1] != '\'')) {
            quoted = !quoted;
        } else if (!quoted) {
            code += line[i];
        }
    }
    return code;
}

bool is_under(const std::string& path, std::string_view folder) { return path.starts_with(folder); }

}  // namespace orrery::checks
