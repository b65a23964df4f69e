#include "process.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace orrery {
namespace {

namespace fs = std::filesystem;

fs::path new_directory() {
    std::string name = (fs::temp_directory_path() / "orrery_cli_XXXXXX").string();
    return mkdtemp(name.data());
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const char* program)
    : dir_(new_directory()) {
    std::vector<std::string> all = {program};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string out = (dir_ / "out").string(), error = (dir_ / "error").string();
    pid_ = fork();
    if (pid_ == 0) {
        const int o = open(out.c_str(), O_WRONLY | O_CREAT, 0600);
        const int e = open(error.c_str(), O_WRONLY | O_CREAT, 0600);
        dup2(o, STDOUT_FILENO);
        dup2(e, STDERR_FILENO);
        execv(program, argv.data());
        _exit(127);
    }
}

Process::~Process() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    std::error_code ec;
    fs::remove_all(dir_, ec);
}

void Process::signal(int number) const { kill(pid_, number); }

ProcessResult Process::wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    ProcessResult result;
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.out = read_text(dir_ / "out");
    result.error = read_text(dir_ / "error");
    return result;
}

ProcessResult run_calibrate(const std::vector<std::string>& arguments) {
    return Process(arguments, ORRERY_CALIBRATE_BINARY).wait();
}

ConfigNode json_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--format", "json"});
    const ProcessResult result = run_orrery(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.error;
    return ConfigNode::parse(result.out, "stdout");
}

void expect_refused(const std::vector<std::string>& arguments, const std::string& message) {
    expect_refused(run_orrery(arguments), message);
}

void expect_refused(const ProcessResult& result, const std::string& message) {
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.error, testing::HasSubstr(message));
    EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1) << result.error;
    EXPECT_EQ(result.out, "");
}

ProcessResult run_orrery(const std::vector<std::string>& arguments) {
    return Process(arguments).wait();
}

TemporaryDir::TemporaryDir() : path_(new_directory()) {}

TemporaryDir::~TemporaryDir() {
    std::error_code ec;
    fs::remove_all(path_, ec);
}

fs::path TemporaryDir::put(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
}

std::vector<std::string> TemporaryDir::names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
        names.push_back(entry.path().lexically_relative(path_).string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string read_text(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

}  // namespace orrery
