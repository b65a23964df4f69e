// README.md's commands work and print what it says they print. Commands stand in blocks marked sh;
// a block marked text directly after a block with one command is (an excerpt of) its output.

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace {

namespace fs = std::filesystem;
const std::string kProgramInReadme = "build/release/orrery";

struct Example {
    std::string command;             // one line as the reader types it
    std::vector<std::string> shown;  // the output README shows; empty where it shows none
};

std::vector<Example> read_examples() {
    std::ifstream in(fs::path(ORRERY_SOURCE_DIR) / "README.md");
    std::vector<Example> examples;
    std::string block;         // "", "sh", "text", ...
    bool output_next = false;  // the last block was sh, and only empty lines followed
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("```")) {
            if (block.empty()) {
                block = line == "```" ? "plain" : line.substr(3);
            } else {
                output_next = block == "sh";
                block.clear();
            }
            continue;
        }
        if (block == "sh" && !line.empty()) examples.push_back({line, {}});
        if (block == "text" && output_next) examples.back().shown.push_back(line);
        if (block.empty() && !line.empty()) output_next = false;
    }
    return examples;
}

// A directory that looks like the source root to the program, so that what commands write does not
// land in the source tree.
class Stage {
  public:
    Stage() {
        std::string pattern =
            (fs::temp_directory_path() / "orrery_readme_").string() + std::string(6, 'X');
        directory_ = mkdtemp(pattern.data());
        for (const char* folder : {"scenarios", "hw_profiles"}) {
            fs::create_symlink(fs::path(ORRERY_SOURCE_DIR) / folder, directory_ / folder);
        }
        fs::create_directories(directory_ / "build/demo");
    }
    ~Stage() { fs::remove_all(directory_); }
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    const fs::path& directory() const { return directory_; }

  private:
    fs::path directory_;
};

struct Outcome {
    int status = -1;
    std::string text;  // standard output and error
};

Outcome run(const std::string& command, const fs::path& directory) {
    std::string line = command;
    line.replace(0, kProgramInReadme.size(), ORRERY_PROGRAM);
    line = "cd '" + directory.string() + "' && " + line + " 2>&1 </dev/null";
    Outcome outcome;
    FILE* pipe = popen(line.c_str(), "r");
    std::array<char, 4096> bytes{};
    while (const std::size_t n = std::fread(bytes.data(), 1, bytes.size(), pipe)) {
        outcome.text.append(bytes.data(), n);
    }
    const int status = pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

// Lines that differ from run to run: how long the simulation itself took.
bool varies(const std::string& line) { return line.find("simulated in") != std::string::npos; }

class ReadmeCommand : public testing::TestWithParam<Example> {};

TEST_P(ReadmeCommand, Works) {
    const Example& example = GetParam();
    if (!example.command.starts_with(kProgramInReadme)) {
        // make TARGET: the target exists. What it does is tested as a whole, by those who run it.
        ASSERT_TRUE(example.command.starts_with("make ")) << "neither make nor the program";
        std::ifstream in(fs::path(ORRERY_SOURCE_DIR) / "Makefile");
        std::stringstream makefile;
        makefile << in.rdbuf();
        EXPECT_NE(makefile.str().find("\n" + example.command.substr(5) + ":"), std::string::npos);
        return;
    }
    const Stage stage;
    const Outcome outcome = run(example.command, stage.directory());
    EXPECT_EQ(outcome.status, 0) << outcome.text;
    EXPECT_FALSE(outcome.text.empty());
    // Shown lines appear in the real output, in the same order; "..." stands for lines left out.
    std::istringstream printed(outcome.text);
    std::string line;
    for (const std::string& shown : example.shown) {
        if (shown.empty() || shown == "..." || varies(shown)) continue;
        bool found = false;
        while (!found && std::getline(printed, line)) found = line == shown;
        ASSERT_TRUE(found) << "README.md shows a line that the program does not print here:\n"
                           << shown << "\nIt prints:\n"
                           << outcome.text;
    }
}

std::string case_name(const testing::TestParamInfo<Example>& info) {
    std::string name = std::to_string(info.index) + "_";
    for (const char c : info.param.command.substr(info.param.command.find_first_of(" ") + 1)) {
        if (std::isalnum(static_cast<unsigned char>(c))) {
            name += c;
        } else if (name.back() != '_') {
            name += '_';
        }
    }
    return name.substr(0, 60);
}

INSTANTIATE_TEST_SUITE_P(Readme, ReadmeCommand, testing::ValuesIn(read_examples()), case_name);

TEST(Readme, ShowsTheTwoCommandsAndAnExample) {
    std::string commands;
    for (const Example& example : read_examples()) commands += example.command + "\n";
    EXPECT_NE(commands.find("make demo\n"), std::string::npos);
    EXPECT_NE(commands.find("make test\n"), std::string::npos);
    EXPECT_NE(commands.find("llama3_8b_h100_8.json"), std::string::npos);
}

}  // namespace
