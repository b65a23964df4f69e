// What may include what. Each folder of sim/ is one target; includes between folders, and the
// libraries that stay behind one folder, are checked here against the tables below.

#include <cctype>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source_tree.hpp"

namespace orrery::checks {
namespace {

using testing::IsEmpty;
using Folders = std::set<std::string>;

// Folder -> the folders it may include from, itself understood.
const std::map<std::string, Folders>& allowed_includes() {
    static const Folders simulation = {"core",  "des",        "hardware", "network",
                                       "model", "collective", "replay"};
    static const Folders everything = {"core",       "des",    "hardware", "network", "model",
                                       "collective", "replay", "training", "serving"};
    static const std::map<std::string, Folders> table = {
        {"core", {}},
        {"des", {"core"}},
        {"hardware", {"core"}},
        {"report", {"core"}},
        {"model", {"core", "hardware"}},
        {"network", {"core", "hardware"}},
        {"collective", {"core", "hardware", "network"}},
        {"replay", {"core", "des", "hardware", "network", "collective"}},
        {"training", simulation},
        {"serving", simulation},
        {"study", everything},
        {"app", {"core", "study", "report"}},
        // The GPU side. calibrate's host part is built and tested without CUDA.
        {"kernels", {}},
        {"calibrate", {"core", "hardware"}},
        {"calibrate/no_gpu", {"core", "calibrate"}},
        {"calibrate/gpu", {"core", "hardware", "calibrate", "kernels"}},
        // The closed loop replays what it runs: it takes the weave and the prices from training.
        {"calibrate/closed_loop",
         {"core", "hardware", "model", "collective", "replay", "training", "calibrate"}},
        {"calibrate/closed_loop/app",
         {"core", "hardware", "model", "collective", "calibrate/closed_loop"}},
        {"calibrate/closed_loop/gpu",
         {"core", "hardware", "model", "collective", "replay", "calibrate", "kernels",
          "calibrate/gpu", "calibrate/closed_loop"}},
    };
    return table;
}

// Header or name -> the places that may use it.
struct Restricted {
    std::string what;
    std::vector<std::string> places;
};

// "sim/core/config.cpp" -> "core"; the GPU side's folders are named in full.
std::string folder_of(const std::string& path) {
    const std::string folder = path.substr(0, path.rfind('/'));
    return folder.starts_with("sim/") ? folder.substr(4) : folder;
}

// What an include in that folder refers to: "core/time.hpp" -> "core".
std::string included_folder(const std::string& target) {
    return target.substr(0, target.rfind('/'));
}

std::string at(const SourceFile& file, std::size_t line) {
    return file.path + ":" + std::to_string(line + 1) + ": ";
}

bool is_in(const std::string& path, const std::vector<std::string>& places) {
    for (const std::string& place : places) {
        if (is_under(path, place)) return true;
    }
    return false;
}

TEST(Layers, FoldersIncludeOnlyTheLayersBelow) {
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_sources({"sim", "kernels", "calibrate"})) {
        const std::string folder = folder_of(file.path);
        if (!allowed_includes().contains(folder)) {
            wrong.push_back(file.path + ": folder is missing in the table");
            continue;
        }
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            const Include include = include_of(file.lines[i]);
            if (!include.quoted) continue;
            const std::string from = included_folder(include.target);
            if (from == folder || allowed_includes().at(folder).contains(from)) continue;
            wrong.push_back(at(file, i) + folder + " includes " + include.target);
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

TEST(Layers, LibrariesStayBehindOneFolder) {
    const std::vector<Restricted> headers = {
        {"nlohmann/", {"sim/core/config.cpp", "sim/report/"}},
        {"CLI/", {"sim/app/"}},
        {"boost/graph/", {"sim/network/"}},
        // Files are opened by the config reader, the writers and the commands.
        {"fstream", {"sim/core/config.cpp", "sim/report/", "sim/app/"}},
        {"zlib.h", {"sim/core/line_reader.cpp"}},
        // The library never prints.
        {"iostream", {"sim/report/", "sim/app/"}},
        {"cstdio", {"sim/report/", "sim/app/"}},
        {"spdlog/", {"sim/app/"}},
        {"fmt/color.h", {"sim/report/", "sim/app/"}},
        {"cuda", {}},
        {"kernels/", {}},
        {"calibrate/", {}},
    };
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_sources({"sim"})) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            const std::string target = include_of(file.lines[i]).target;
            for (const Restricted& header : headers) {
                if (!target.starts_with(header.what) || is_in(file.path, header.places)) continue;
                wrong.push_back(at(file, i) + "includes " + target);
            }
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

// `name` stands in the code as a word of its own: "puts(" is not found in "inputs(".
bool uses(const std::string& code, const std::string& name) {
    for (std::size_t i = code.find(name); i != std::string::npos; i = code.find(name, i + 1)) {
        const char before = i == 0 ? ' ' : code[i - 1];
        if (!std::isalnum(static_cast<unsigned char>(before)) && before != '_') return true;
    }
    return false;
}

TEST(Layers, OnlyReportAndAppPrint) {
    const std::vector<std::string> names = {"fmt::print", "printf(", "std::cout",  "std::cerr",
                                            "std::clog",  "puts(",   "std::abort", "std::exit"};
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_sources({"sim"})) {
        if (is_in(file.path, {"sim/report/", "sim/app/"})) continue;
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            const std::string code = code_of(file.lines[i]);
            for (const std::string& name : names) {
                if (uses(code, name)) wrong.push_back(at(file, i) + name);
            }
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

TEST(Layers, SimulationKnowsNoCudaSwitch) {
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_sources({"sim"})) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            const std::string code = code_of(file.lines[i]);
            if (code.starts_with("#if") && code.find("CUDA") != std::string::npos) {
                wrong.push_back(at(file, i) + code);
            }
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

// The reader above, on lines worked out by hand.
TEST(SourceTree, FindsIncludesAndLeavesOutCommentsAndText) {
    EXPECT_EQ(include_of("#include \"core/time.hpp\"").target, "core/time.hpp");
    EXPECT_TRUE(include_of("#include \"core/time.hpp\"").quoted);
    EXPECT_EQ(include_of("  #  include <vector>").target, "vector");
    EXPECT_EQ(include_of("// #include <vector>").target, "");
    EXPECT_EQ(code_of("a(\"x // y\"); // printf("), "a(); ");
    EXPECT_EQ(code_of("f('\"') + g(\"\\\"\", b)"), "f('\"') + g(, b)");
    EXPECT_TRUE(uses("std::puts(a)", "puts("));
    EXPECT_FALSE(uses("inputs(a) + f_puts(b)", "puts("));
    EXPECT_FALSE(read_sources({"sim"}).empty());
    EXPECT_TRUE(read_sources({"no_such_folder"}).empty());
}

}  // namespace
}  // namespace orrery::checks
