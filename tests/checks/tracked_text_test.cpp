// Nothing in the repository names the machine it was written on, or says that work is unfinished;
// files stay small enough to read.

#include <cctype>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source_tree.hpp"

namespace orrery::checks {
namespace {

using testing::IsEmpty;

// Written in two halves so that this file does not contain them.
std::string word(const char* first, const char* second) { return std::string(first) + second; }

// `w` stands in the line; if it begins with a letter, as a word and not within a longer one.
bool contains(const std::string& line, const std::string& w) {
    const auto is_letter = [&line](std::size_t i) {
        return i < line.size() && std::isalpha(static_cast<unsigned char>(line[i]));
    };
    for (std::size_t i = line.find(w); i != std::string::npos; i = line.find(w, i + 1)) {
        const bool within =
            is_letter(i) && ((i > 0 && is_letter(i - 1)) || is_letter(i + w.size()));
        if (!within) return true;
    }
    return false;
}

TEST(TrackedText, NamesNoMachineAndNoUnfinishedWork) {
    const std::vector<std::string> words = {
        word("/wo", "rk/"),      word("../sha", "red"),
        word("/ro", "ot/"),      word("/ho", "me/"),
        word("/tmp/bu", "ild"),  word("deb.deb", "ian.org"),
        word("TO", "DO"),        word("FIX", "ME"),
        word("XX", "X"),         word("not imple", "mented"),
        word("place", "holder"),
    };
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_tracked_text()) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            for (const std::string& w : words) {
                if (!contains(file.lines[i], w)) continue;
                wrong.push_back(file.path + ":" + std::to_string(i + 1) + ": " + w);
            }
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

// Results have to be the same on every machine.
TEST(TrackedText, BuildUsesNoValueChangingOptions) {
    const std::vector<std::string> words = {word("-ffast", "-math"), word("-march", "=native"),
                                            word("-O", "fast"), word("--use_fast", "_math")};
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_tracked_text()) {
        if (!file.path.ends_with("CMakeLists.txt") && !file.path.ends_with(".cmake") &&
            !file.path.ends_with("CMakePresets.json")) {
            continue;
        }
        for (const std::string& line : file.lines) {
            for (const std::string& w : words) {
                if (line.find(w) != std::string::npos) wrong.push_back(file.path + ": " + line);
            }
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

TEST(TrackedText, SourcesAreAtMost500Lines) {
    std::vector<std::string> wrong;
    for (const SourceFile& file : read_sources({"sim", "kernels", "calibrate", "tests"})) {
        const std::size_t limit = file.path.ends_with(".cu") ? 700 : 500;
        if (file.lines.size() > limit) {
            wrong.push_back(file.path + ": " + std::to_string(file.lines.size()) + " lines");
        }
    }
    EXPECT_THAT(wrong, IsEmpty());
}

}  // namespace
}  // namespace orrery::checks
